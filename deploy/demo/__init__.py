"""Plausible traffic for trying LLMScope out: a month of history, then a live trickle."""
