"""What the ledger must be like, as Great Expectations suites. Imports nothing of the platform."""
