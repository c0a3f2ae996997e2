"""LLMScope in containers."""
