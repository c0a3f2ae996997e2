"""The contract's rules between fields, and its published forms."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ingest_api import events
from ingest_api.events import ContractError, Event

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def make_event(**fields: object) -> Event:
    minimal = {"provider_name": "openai", "request_model": "gpt-4o", "started_at": NOW.isoformat()}
    return msgspec.convert({**minimal, **fields}, Event)


@pytest.mark.parametrize(
    ("fields", "guilty"),
    [
        ({"request_model": None}, "request_model"),
        ({"started_at": "2019-12-31T23:59:59Z"}, "started_at"),
        ({"started_at": (NOW + timedelta(days=1, seconds=1)).isoformat()}, "started_at"),
        ({"ended_at": (NOW - timedelta(seconds=1)).isoformat()}, "ended_at"),
        ({"ended_at": (NOW + timedelta(days=8)).isoformat()}, "ended_at"),
        ({"reported_cost_usd": "NaN"}, "reported_cost_usd"),
        ({"reported_cost_usd": "-0.01"}, "reported_cost_usd"),
        ({"reported_cost_usd": "1000001"}, "reported_cost_usd"),
        ({"reported_cost_usd": "1e-19"}, "reported_cost_usd"),
    ],
)
def test_fields_that_do_not_fit_together_are_named(fields: dict[str, object], guilty: str) -> None:
    with pytest.raises(ContractError) as caught:
        events.check(make_event(**fields), NOW)
    assert caught.value.field == guilty


@pytest.mark.parametrize(
    ("json", "guilty"),
    [
        (b'"text"', "usage_details"),
        (b'{"a": "' + b"x" * events.MAX_USAGE_DETAILS_BYTES + b'"}', "usage_details"),
    ],
)
def test_verbatim_usage_is_a_bounded_object(json: bytes, guilty: str) -> None:
    event = make_event()
    event.usage_details = msgspec.Raw(json)
    with pytest.raises(ContractError) as caught:
        events.check(event, NOW)
    assert caught.value.field == guilty


def test_an_event_at_every_limit_is_accepted() -> None:
    event = make_event(
        input_tokens=events.MAX_TOKENS,
        duration_seconds=events.MAX_DURATION_SECONDS,
        reported_cost_usd="1000000",
        started_at=(NOW + timedelta(days=1)).isoformat(),
        tags={f"{n:064}": "v" * 256 for n in range(32)},
    )
    events.check(event, NOW)


@pytest.mark.parametrize(
    ("fields", "source"),
    [
        ({}, "missing"),
        ({"output_tokens": 0}, "provider"),
        ({"input_tokens": 1}, "provider"),
        ({"input_tokens": 1, "usage_source": "estimated"}, "estimated"),
    ],
)
def test_usage_source_says_whether_tokens_were_counted(
    fields: dict[str, object], source: str
) -> None:
    assert events.usage_source_of(make_event(**fields)) == source


def test_new_ids_are_uuid7_and_ordered_by_time() -> None:
    first, second = events.new_event_id(), events.new_event_id()
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
    assert first.int >> 80 <= second.int >> 80
    assert first != second


def test_the_schema_describes_every_field() -> None:
    properties = events.json_schema()["properties"]
    assert list(properties) == [f.name for f in msgspec.structs.fields(Event)]
    assert all(field["description"].endswith((".", "...")) for field in properties.values())
