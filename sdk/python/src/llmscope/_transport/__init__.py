"""The way of an event from the call to the server: queue, batch, one attempt, verdict, spool."""
