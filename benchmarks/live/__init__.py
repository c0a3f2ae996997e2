"""How fast events reach those who watch, and what a client that takes nothing costs the others."""
