"""Costs of real answers: our ledger beside the tables of other tools."""
