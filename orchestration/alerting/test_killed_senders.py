"""The sending process dies by SIGKILL at its worst moments; the receivers live on."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from deploy.local.environment import ROOT
from ingest_api.database.outbox import LEASE
from tests.outbox import OutboxCase, firing
from tests.receivers import Receivers, run_receivers

RESOLVED = replace(firing(), kind="alert_resolved", idempotency_key="spend/1/resolved")
# As if the lease had been taken so long ago.
AGE = """
update app.notifications set claimed_until = claimed_until - %(age)s,
    next_attempt_at = next_attempt_at - %(age)s where delivered_at is null
"""


@pytest.fixture(scope="module")
def receivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receivers]:
    with run_receivers(tmp_path_factory.mktemp("receivers")) as running:
        yield running


def run_sender(outbox: OutboxCase, receivers: Receivers, moment: str) -> int:
    environment = {
        **os.environ,
        "DATABASE_URL": outbox.database_url,
        "LLMSCOPE_SECRET_KEY": outbox.key,
        "SSL_CERT_FILE": str(receivers.certificate),
    }
    command = [sys.executable, "-m", "tests.sending_process", moment]
    return subprocess.run(command, cwd=ROOT, env=environment, timeout=60, check=False).returncode


def add_channels(outbox: OutboxCase, receivers: Receivers, test: str) -> list[UUID]:
    mail = {
        "host": "localhost", "port": receivers.smtp_port, "sender": "llmscope@example.com",
        "recipients": [f"{test}@example.com"],
    }  # fmt: skip
    return [
        outbox.add_channel("webhook", "webhook", url=receivers.url(f"webhook-{test}")),
        outbox.add_channel("slack", "slack", url=receivers.url(f"slack-{test}")),
        outbox.add_channel("email", "mail", settings=mail),
    ]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_sender_costs_no_notification_and_doubles_none_by_its_key(
    outbox: OutboxCase, receivers: Receivers, moment: str
) -> None:
    channels = add_channels(outbox, receivers, moment)
    outbox.write(firing(), *channels)
    outbox.write(RESOLVED, *channels)

    assert run_sender(outbox, receivers, moment) == -signal.SIGKILL
    assert not any(row["is_delivered"] for row in outbox.rows())
    assert run_sender(outbox, receivers, "never") == 0
    assert all(row["attempt_count"] <= 1 for row in outbox.rows()), "a lease was not kept"
    outbox.connection.execute(AGE, {"age": LEASE + timedelta(seconds=1)})
    assert run_sender(outbox, receivers, "never") == 0

    assert all(row["is_delivered"] for row in outbox.rows())
    for kind in ("webhook", "slack"):
        taken = receivers.taken(f"{kind}-{moment}")
        assert [one.key for one in taken] == ["spend/1/firing", "spend/1/resolved"]
    subjects = [
        mail.message["Subject"]
        for mail in receivers.mails()
        if mail.recipients == [f"{moment}@example.com"]
    ]
    title = firing().title
    assert subjects == [f"Alert: {title}", f"Resolved: {title}"]


def test_slack_is_told_that_a_message_may_be_a_repeat(
    outbox: OutboxCase, receivers: Receivers
) -> None:
    outbox.write(firing(), outbox.add_channel("slack", url=receivers.url("slack-repeat")))

    run_sender(outbox, receivers, "after")
    outbox.connection.execute(AGE, {"age": LEASE + timedelta(seconds=1)})
    run_sender(outbox, receivers, "never")

    first, second = receivers.posts("slack-repeat")
    assert "may be a repeat" not in first.body.decode()
    assert "may be a repeat" in second.body.decode()
