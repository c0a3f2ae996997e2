"""The documentation's own verification of a webhook, on what is really sent."""

import re
from collections.abc import Callable
from typing import Any

from deploy.local.environment import ROOT
from ingest_api.notifying.kinds import new_signing_secret
from tests.outbox import OutboxCase, firing
from tests.webhook import WebhookServer

DOCUMENT = (ROOT / "docs" / "notifications.md").read_text()


def documented_function() -> Callable[..., bool]:
    block = re.search(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert block
    names: dict[str, Any] = {}
    exec(block[1], names)  # noqa: S102 - the documentation's own code
    function: Callable[..., bool] = names["is_genuine"]
    return function


def test_the_documented_verification_takes_ours_and_no_other(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    secret = new_signing_secret()
    channel = outbox.add_channel("webhook", url=webhook.url, signing_secret=secret)
    outbox.write(firing(), channel)
    outbox.send()
    (one,) = webhook.received
    is_genuine = documented_function()
    now = outbox.clock().timestamp()

    assert is_genuine(secret, one.headers, one.body, now)
    assert not is_genuine(new_signing_secret(), one.headers, one.body, now)
    assert not is_genuine(secret, one.headers, one.body + b" ", now)
    assert not is_genuine(secret, {**one.headers, "webhook-id": "msg_other"}, one.body, now)
    assert not is_genuine(secret, one.headers, one.body, now + 301)
