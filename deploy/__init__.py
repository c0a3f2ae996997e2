"""How LLMScope is installed and run."""
