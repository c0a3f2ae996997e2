"""A look at the events that have arrived, as a client sees it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx

from ingest_api.test_ingest import BATCH, EVENT, INGEST

RECENT = "/api/v1/events/recent"


async def test_pages_of_recent_events_are_complete_and_disjoint(
    client: httpx.AsyncClient, load_all: Callable[[], None]
) -> None:
    start = datetime(2026, 11, 22, tzinfo=UTC)
    batch = [
        {**EVENT, "event_id": str(uuid4()), "started_at": (start + timedelta(n // 2)).isoformat(),
         "provider_name": "openai" if n % 2 else "anthropic",
         **({"error_type": "timeout"} if n == 4 else {})}
        for n in range(-5, 2)
    ]  # fmt: skip
    await client.post(BATCH, json=batch)
    load_all()
    seen, cursor = [], ""
    while cursor is not None:
        parameters = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = (await client.get(RECENT, params=parameters)).json()
        seen += [e["event_id"] for e in page["events"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 7
    filtered = await client.get(RECENT, params={"provider_name": "openai"})
    assert {e["provider_name"] for e in filtered.json()["events"]} == {"openai"}


async def test_a_recent_event_is_what_was_sent(
    client: httpx.AsyncClient, load_all: Callable[[], None]
) -> None:
    sent = {**EVENT, "input_tokens": 12, "duration_seconds": 1.5, "tags": {"team": "search"},
            "usage_details": {"prompt_tokens": 12}, "service_tier": "flex"}  # fmt: skip
    await client.post(INGEST, json=sent)
    load_all()
    [event] = (await client.get(RECENT)).json()["events"]
    assert {name: event[name] for name in sent} == sent
    assert event["output_tokens"] is None


async def test_a_bad_parameter_is_named(client: httpx.AsyncClient) -> None:
    for name, value in {
        "limit": "0", "cursor": "bogus", "status": "odd", "user_id": "a\0b", "model": "a" * 257,
        "usr_id": "a",
    }.items():  # fmt: skip
        answer = await client.get(RECENT, params={name: value})
        assert (answer.status_code, answer.json()["type"][-14:]) == (422, "/bad-parameter")
        assert name in answer.json()["detail"]
        assert [e["field"] for e in answer.json().get("errors", [])] in ([name], [])


async def test_stats_tell_what_waits(
    client: httpx.AsyncClient, load_all: Callable[[], None]
) -> None:
    await client.post(BATCH, json=[EVENT, {**EVENT, "event_id": str(uuid4())}])
    waiting = (await client.get("/api/v1/events/stats")).json()
    assert (waiting["entry_count"], waiting["lag_entry_count"]) == (1, 1)
    assert (waiting["accepted_event_count"], waiting["lag_event_count"]) == (2, 2)
    assert waiting["is_loader_alive"] is False
    assert waiting["used_memory_bytes"] > 0
    load_all()
    done = (await client.get("/api/v1/events/stats")).json()
    assert (done["lag_event_count"], done["lag_seconds"], done["dead_letter_count"]) == (0, 0, 0)
    assert done["is_loader_alive"] is True


async def test_the_contract_is_served(client: httpx.AsyncClient) -> None:
    client.headers.clear()
    schema = (await client.get("/api/v1/events/schema")).json()
    assert "input_tokens" in schema["properties"]
