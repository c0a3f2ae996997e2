"""Price books of our own: what tenants and projects have negotiated, and what we have reviewed."""
