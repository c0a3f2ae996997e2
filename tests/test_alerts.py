"""From events over HTTP to a message in Slack, in a mailbox and at a webhook, and to its end.

The receivers are a process of their own. The process that sends is killed while the end of the
alert is committed and not delivered: each receiver has exactly one message for each key all the
same.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.receivers import Receivers, run_receivers
from tests.running import RunningPlatform, wait_until

# The promise: a message within three minutes of the last event.
TOLD_SECONDS = 180.0
SERVICE = "alert-probe"
# Of gpt-4o, so many output tokens cost 1 USD.
DOLLAR = 100_000
CHECK = """
{ assetCheckExecutions(
    assetKey: {path: ["marts", "fct_usage_minutely"]}, checkName: "%s", limit: 5
) { status evaluation { success severity description } } }
"""
BUILT = "select to_regclass('marts.fct_budget_use_daily') is not null"
WAITING = """
select count(*) from app.notifications
where payload->>'kind' = 'alert_resolved' and delivered_at is null and given_up_at is null
"""


@pytest.fixture(scope="module")
def receivers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receivers]:
    with run_receivers(tmp_path_factory.mktemp("receivers")) as running:
        yield running


def send(client: httpx.Client, method: str, path: str, body: object) -> Any:
    answer = client.request(method, path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


def set_up(client: httpx.Client, receivers: Receivers) -> None:
    """Four channels, a budget, and two rules on the calls of one service."""
    channels: list[dict[str, Any]] = [
        {"name": f"probe-{name}", "kind": kind, "secrets": {"url": receivers.url(name)}}
        for name, kind in (("slack", "slack"), ("webhook", "webhook"), ("budget", "webhook"))
    ]
    mail = {
        "host": "localhost", "port": receivers.smtp_port, "sender": "llmscope@example.com",
        "recipients": ["finance@example.com"], "verify_certificate": False,
    }  # fmt: skip
    channels.append({"name": "probe-mail", "kind": "email", "settings": mail})
    for channel in channels:
        send(client, "POST", "/api/v1/notification-channels", channel)
    budget = {"name": "probe", "month_usd": 2, "service_name": SERVICE}
    send(client, "POST", "/api/v1/budgets", budget)
    rules = [
        {
            # As long as the promise: one that a build comes too late for begins and ends in a
            # single evaluation, which tells both at once.
            "name": "probe spends", "metric": "cost", "threshold": "2.5", "window_seconds": 180,
            "service_name": SERVICE, "severity": "critical",
            "message": "{value} of {threshold} by {calls} calls",
            "channels": ["probe-slack", "probe-mail", "probe-webhook"],
        },
        {
            "name": "probe is over its budget", "metric": "budget_use", "threshold": 1,
            "budget": "probe", "severity": "error", "channels": ["probe-budget"],
        },
    ]  # fmt: skip
    for rule in rules:
        assert send(client, "PUT", "/api/v1/alert-rules", rule)["outcome"] == "created"


def spend(client: httpx.Client) -> datetime:
    """Three calls of 1 USD each, in the minute that is; gives when they were sent."""
    now = datetime.now(UTC)
    # Not across the end of a minute: the rule adds single minutes up.
    if now.second > 55:
        next_minute = now.replace(second=0) + timedelta(minutes=1)
        wait_until(lambda: datetime.now(UTC) > next_minute, "the next minute", 10)
    events = [
        {
            "event_id": str(uuid4()), "provider_name": "openai", "request_model": "gpt-4o",
            "started_at": datetime.now(UTC).isoformat(), "input_tokens": 0,
            "output_tokens": DOLLAR, "service_name": SERVICE,
        }
        for _ in range(3)
    ]  # fmt: skip
    send(client, "POST", "/api/v1/events/ingest/batch", events)
    return datetime.now(UTC)


def check(platform: RunningPlatform, name: str) -> dict[str, Any]:
    """The newest evaluation of a check, as Dagster shows it."""
    url = f"{platform.dagster_url}/graphql"
    answer = httpx.post(url, json={"query": CHECK % name}, timeout=30).json()
    executions = answer["data"]["assetCheckExecutions"]
    # One that a run has only planned has none.
    return next((one["evaluation"] for one in executions if one["evaluation"]), {})


def posted(receivers: Receivers, kind: str) -> list[Any]:
    """The bodies that a receiver has taken, one per idempotency key."""
    return [json.loads(one.body) for one in receivers.taken(kind)]


def mails(receivers: Receivers) -> list[str]:
    return [str(one.message["Subject"]) for one in receivers.mails()]


def numbers(receivers: Receivers) -> list[int]:
    return [*(len(posted(receivers, kind)) for kind in ("slack", "webhook")), len(mails(receivers))]


@pytest.mark.timeout(900)
def test_spend_over_a_budget_is_told_once_everywhere_and_so_is_its_end(
    platform: RunningPlatform, receivers: Receivers
) -> None:
    wait_until(lambda: platform.query(BUILT) == [(True,)], "the first build of the marts", 200)
    with platform.client() as client:
        set_up(client, receivers)
        sent_at = spend(client)
    wait_until(lambda: numbers(receivers) == [1, 1, 1], "one message each", TOLD_SECONDS)
    wait_until(lambda: posted(receivers, "budget"), "the budget's message", TOLD_SECONDS)
    assert (datetime.now(UTC) - sent_at).total_seconds() < TOLD_SECONDS
    (hook,) = posted(receivers, "webhook")
    assert (hook["kind"], hook["severity"]) == ("alert_firing", "critical")
    assert hook["title"] == "probe spends: 3.00 USD"
    assert hook["text"] == "3.00 USD of 2.50 USD by 3 calls"
    assert "3.00 USD of 2.50 USD by 3 calls" in json.dumps(posted(receivers, "slack"))
    assert "probe spends: 3.00 USD" in mails(receivers)[0]
    (over,) = posted(receivers, "budget")
    assert over["title"] == "probe is over its budget: 150 %"

    wait_until(lambda: check(platform, "no_critical_alert_fires").get("success") is False, "failed",
               60)  # fmt: skip
    failed = check(platform, "no_critical_alert_fires")
    assert failed["severity"] == "ERROR"
    assert "probe spends 3.00 USD, above 2.50 USD" in failed["description"]
    assert check(platform, "no_warning_alert_fires").get("success") is True

    receivers.answer(503)
    wait_until(lambda: platform.query(WAITING)[0][0] >= 2, "the end, committed", 300)
    platform.kill("code_server")
    receivers.answer(204)
    wait_until(lambda: numbers(receivers) == [2, 2, 2], "one end each", TOLD_SECONDS)
    kinds = [one["kind"] for one in posted(receivers, "webhook")]
    assert kinds == ["alert_firing", "alert_resolved"]
    wait_until(lambda: check(platform, "no_critical_alert_fires").get("success"), "passes", 90)
    assert numbers(receivers) == [2, 2, 2]
    assert len(posted(receivers, "budget")) == 1
    forget(platform)


def forget(platform: RunningPlatform) -> None:
    """Leave no rule behind for the tests that share the platform."""
    with platform.client() as client:
        rules = client.get("/api/v1/alert-rules").json()["rules"]
        ids = {"ids": [one["rule_id"] for one in rules]}
        send(client, "POST", "/api/v1/alert-rules/delete", ids)
