"""LLMScope on one machine without containers: set-up, native services and the process runner."""
