"""`python -m tests.sending_process MOMENT`: send what is due, and die by SIGKILL at a moment.

`before`: after the claim is committed, before anything is sent. `after`: when the receiver has
answered, before that is marked. `never`: send and end.
"""

import os
import signal
import sys
from datetime import UTC, datetime

import httpx
import psycopg

from ingest_api.database.outbox import Claim
from ingest_api.notifying.secrets import SecretBox
from orchestration.alerting.outcomes import Outcome
from orchestration.alerting.sending import Sender, send_due
from tests.outbox import LOOPBACK


class MortalSender(Sender):
    """Dies in the middle of its first attempt."""

    moment = "never"

    def attempt(self, claim: Claim) -> Outcome:
        if self.moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        outcome = super().attempt(claim)
        if self.moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return outcome


if __name__ == "__main__":
    MortalSender.moment = sys.argv[1]
    sender = MortalSender(
        lambda: SecretBox([os.environ["LLMSCOPE_SECRET_KEY"]]),
        os.environ,
        LOOPBACK,
        httpx.create_ssl_context(),
        lambda: datetime.now(UTC),
    )
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        send_due(connection, sender)
