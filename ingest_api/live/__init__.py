"""The live feed: events on their way from Redis to whoever watches, without Postgres."""
