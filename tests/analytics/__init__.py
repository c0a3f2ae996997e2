"""The questions to the marts, on a real ledger."""
