"""From the README's curl line to a priced row, on the whole platform."""

import json
import re
import subprocess
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
import redis
from genai_prices import Usage, calc_price

from deploy.local.environment import ROOT
from ingest_api.stream import STREAM
from tests.running import RunningPlatform, wait_until
from tests.webhook import WebhookServer

# The promises of docs/architecture.md.
RAW_SECONDS = 5.0
MARTS_SECONDS = 90.0

ROW = "select count(*) from raw.llm_events where event_id = %s"
COST = """
select total_cost_usd, unpriced_reason from marts.fct_llm_calls where event_id = %s
"""


def readme_curl(platform: RunningPlatform) -> str:
    """The README's own example, pointed at the platform under test."""
    block = re.search(r"```sh\n(curl .*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block
    command = block[1].replace("http://127.0.0.1:8400", platform.api_url)
    return command.replace(".llmscope/api_key", str(platform.home / "api_key"))


@pytest.mark.timeout(400)
def test_the_readme_event_is_loaded_priced_and_as_dear_as_by_hand(
    platform: RunningPlatform,
) -> None:
    done = subprocess.run(
        ["bash", "-c", readme_curl(platform)], capture_output=True, text=True, check=True
    )
    (event_id,) = json.loads(done.stdout)["accepted"]
    wait_until(
        lambda: platform.query(ROW, event_id) == [(1,)], "the event is a raw row", RAW_SECONDS
    )
    wait_until(lambda: marts_exist(platform), "the first build of the marts", 200)
    wait_until(lambda: platform.query(COST, event_id), "the call is in the marts", MARTS_SECONDS)
    ((cost, reason),) = platform.query(COST, event_id)
    usage = Usage(input_tokens=1200, cache_read_tokens=1024, output_tokens=300)
    by_hand = calc_price(usage, "gpt-4o-mini", provider_id="openai").total_price
    assert reason is None
    assert cost == pytest.approx(by_hand, abs=Decimal("1e-9"))


def marts_exist(platform: RunningPlatform) -> bool:
    return platform.query("select to_regclass('marts.fct_llm_calls') is not null") == [(True,)]


def make_events(count: int) -> list[dict[str, object]]:
    now = datetime.now(UTC).isoformat()
    return [
        {
            "event_id": str(uuid4()),
            "provider_name": "anthropic",
            "request_model": "claude-sonnet-4-5",
            "started_at": now,
            "input_tokens": 100 + n,
            "output_tokens": 10,
        }
        for n in range(count)
    ]


def loaded(platform: RunningPlatform, events: list[dict[str, object]]) -> int:
    ids = [event["event_id"] for event in events]
    ((count,),) = platform.query(
        "select count(*) from raw.llm_events where event_id = any(%s::uuid[])", ids
    )
    assert isinstance(count, int)
    return count


def settled(platform: RunningPlatform) -> bool:
    with platform.client() as client:
        return client.get("/api/v1/events/stats").json()["lag_event_count"] == 0


@pytest.mark.timeout(200)
def test_a_batch_sent_three_times_is_one_set_of_rows(platform: RunningPlatform) -> None:
    events = make_events(200)
    with platform.client() as client:
        for _ in range(3):
            assert client.post("/api/v1/events/ingest/batch", json=events).status_code == 202
    wait_until(lambda: settled(platform), "everything is loaded", 20)
    assert loaded(platform, events) == 200


@pytest.mark.timeout(200)
def test_three_bad_of_a_hundred_are_named_and_97_load(platform: RunningPlatform) -> None:
    events = make_events(100)
    events[7]["input_tokens"] = -1
    events[42]["started_at"] = "soon"
    events[99]["colour"] = "blue"
    with platform.client() as client:
        answer = client.post("/api/v1/events/ingest/batch", json=events)
    assert answer.status_code == 202
    assert [(r["index"], r["field"]) for r in answer.json()["rejected"]] == [
        (7, "input_tokens"),
        (42, "started_at"),
        (99, "colour"),
    ]
    wait_until(lambda: loaded(platform, events) == 97, "97 rows", 20)


@pytest.mark.timeout(200)
def test_a_poison_entry_ends_as_a_dead_letter_blocks_nothing_and_raises_one_alert(
    platform: RunningPlatform, operators: WebhookServer
) -> None:
    entry_id = redis.Redis.from_url(platform.redis_url).xadd(STREAM, {"poison": "yes"}).decode()
    events = make_events(10)
    with platform.client() as client:
        client.post("/api/v1/events/ingest/batch", json=events)
    wait_until(lambda: loaded(platform, events) == 10, "the events behind the poison", 20)
    letters = platform.query(
        "select rejected_reason from raw.dead_letters where entry_id = %s", entry_id
    )
    assert letters == [("the entry lacks the field tenant_id",)]
    wait_until(lambda: alerts(operators), "the alert of the open dead letter", 120)
    (alert,) = alerts(operators)
    assert (alert["asset"], alert["counts"]["failed_count"]) == ("raw/dead_letters", 1)


def alerts(operators: WebhookServer) -> list[dict[str, Any]]:
    return [b for b in operators.bodies if b.get("check") == "no_open_dead_letters"]
