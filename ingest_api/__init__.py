"""HTTP in, Redis Streams out: the door of LLMScope."""
