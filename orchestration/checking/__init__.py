"""Asset checks: the quality of the ledger after each build, and the flow of events all the time."""
