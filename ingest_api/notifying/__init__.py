"""Channels of notifications: what each kind needs, its secrets, and the networks it may reach."""
