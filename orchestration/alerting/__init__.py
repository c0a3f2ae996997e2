"""Alerts: a check that fails, a check that passes again, and a run that fails reach a webhook."""
