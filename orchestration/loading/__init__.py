"""From the stream into the raw tables, exactly once."""
