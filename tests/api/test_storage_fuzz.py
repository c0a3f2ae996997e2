"""Every event that the contract allows is stored as it was sent, however odd its characters."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.api.door import BATCH, RECENT, Door, event_text, ids, rejections

# What COPY, arrays, jsonb and JSON give a meaning to, and what only looks like an end of text.
SPECIAL: Final = (
    "\\", "\\N", "\\.", "\\\\", "\t", "\n", "\r", "\r\n", "\b", "\f", "\v", "\x01", "\x1f", "\x7f",
    "\x85", "\u2028", "\ufeff", "\uffff", "\U0010ffff", '"', "'", "{", "}", "{}", "[", ",", ";",
    "NULL", "null", "%s", "$1", "\\x41", "\\u0041", "\\t", "é", "e\u0301", "😀", " ", "  x  ",
)  # fmt: skip
# A chunk of the hypertable for each day: three are enough.
FIRST_DAY: Final = datetime(2026, 11, 20, tzinfo=UTC)
CHARACTERS: Final = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


def texts(max_size: int, min_size: int = 1) -> st.SearchStrategy[str]:
    """Texts of special characters between ordinary ones."""
    parts = st.lists(st.one_of(st.sampled_from(SPECIAL), CHARACTERS), min_size=1, max_size=12)
    return parts.map("".join).map(lambda text: text[:max_size]) | st.text(
        CHARACTERS, min_size=min_size, max_size=max_size
    )


def numbers() -> st.SearchStrategy[int | float]:
    """Numbers as JSON writes them."""
    return st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)


def documents() -> st.SearchStrategy[Any]:
    """JSON of a few levels."""
    return st.recursive(
        st.none() | st.booleans() | numbers() | texts(40, min_size=0),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(20), inner, max_size=3),
        max_leaves=8,
    )


def number_texts() -> st.SearchStrategy[str]:
    """Numbers of any length as JSON may write them, most of which no column and no reader holds."""
    lengths = st.sampled_from([1, 2, 17, 40, 300, 310, 400, 4300, 17_000])
    digits = st.builds(lambda digit, length: digit * length, st.sampled_from("0123456789"), lengths)
    scales = st.sampled_from([0, 1, 99, 300, 308, 400, 999, 5000, 20_000, 140_000, 10**20])
    return st.builds(
        lambda sign, whole, fraction, exponent: f"{sign}{whole}{fraction}{exponent}",
        st.sampled_from(["", "-"]),
        st.just("0") | digits.filter(lambda text: text[0] != "0"),
        st.just("") | digits.map(lambda text: f".{text}"),
        st.just("") | st.builds("{}{}".format, st.sampled_from(["e", "E+", "e-"]), scales),
    )


def costs() -> st.SearchStrategy[str]:
    """Costs of every length that is allowed, as JSON texts."""
    return st.decimals(0, 1_000_000, places=18).map(str) | st.sampled_from(
        ["0", "1e6", "1E-18", "0.10", "1000000.000", "0.000000000000000001"]
    )


def times() -> st.SearchStrategy[datetime]:
    """Times of three days."""
    seconds = st.integers(0, 3 * 24 * 3600 * 1_000_000 - 1)
    return seconds.map(lambda micros: FIRST_DAY + timedelta(microseconds=micros))


TOKENS = st.sampled_from([0, 1, 1_000_000_000]) | st.integers(0, 1_000_000_000)
SECONDS = st.floats(0, 604_800) | st.sampled_from([5e-324, 604_800, 0, -0.0, 0.1])
TEXT_FIELDS: Final = {
    "provider_name": 128, "request_model": 256, "response_model": 256, "operation_name": 128,
    "response_id": 256, "error_type": 128, "error_message": 2000, "user_id": 256,
    "conversation_id": 256, "trace_id": 256, "span_id": 256, "parent_span_id": 256,
    "environment": 128, "service_name": 128, "sdk_name": 128, "sdk_version": 128,
}  # fmt: skip
TOKEN_FIELDS: Final = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens",
    "cache_write_1h_input_tokens", "reasoning_output_tokens", "input_audio_tokens",
    "output_audio_tokens", "input_image_tokens",
)  # fmt: skip
OPTIONAL: Final = {
    **{name: texts(size) for name, size in TEXT_FIELDS.items() if name not in
       ("provider_name", "request_model")},
    **dict.fromkeys(TOKEN_FIELDS, TOKENS),
    "duration_seconds": SECONDS,
    "time_to_first_chunk_seconds": SECONDS,
    "is_stream": st.booleans(),
    "usage_details": st.dictionaries(texts(20), documents(), max_size=4),
    "usage_source": st.sampled_from(["provider", "estimated", "missing"]),
    "usage_semantics": st.sampled_from(["inclusive", "cache_exclusive"]),
    "service_tier": st.sampled_from(["default", "flex", "priority", "batch"]),
    "response_finish_reasons": st.lists(texts(128), max_size=5),
    "http_status_code": st.integers(100, 599),
    "tags": st.dictionaries(texts(64), texts(256, min_size=0), max_size=6),
    "input_messages": st.lists(documents(), max_size=3),
    "output_messages": st.lists(documents(), max_size=3),
}  # fmt: skip
EVENTS: Final = st.fixed_dictionaries(
    {"provider_name": texts(128), "request_model": texts(256), "started_at": times()},
    optional=OPTIONAL,
)

ROWS: Final = """
select e.*, e.usage_details::text as usage_details_text, e.tags::text as tags_text,
       c.input_messages::text as input_messages_text,
       c.output_messages::text as output_messages_text
from raw.llm_events as e
left join raw.llm_event_contents as c using (project_id, event_id, started_at)
where event_id = any(%s::uuid[])
"""
# Without shrinking: each attempt goes through Postgres.
same_each_time = settings(
    derandomize=True, deadline=None, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
JSON_FIELDS: Final = ("usage_details", "tags", "input_messages", "output_messages")


def exact(text: str | None) -> Any:
    """JSON with its numbers as decimals: Postgres keeps every digit."""
    return None if text is None else json.loads(text, parse_float=Decimal, parse_int=Decimal)


def sent_json(event: dict[str, Any], cost: str | None) -> str:
    """The event on the wire."""
    plain = {**event, "started_at": event["started_at"].isoformat()}
    text = json.dumps(plain, ensure_ascii=False)
    return text if cost is None else f'{text[:-1]}, "reported_cost_usd": {cost}}}'


def as_stored(name: str, value: Any) -> Any:
    """A sent value in the form of its column."""
    return exact(json.dumps(value)) if name in JSON_FIELDS else value


@settings(same_each_time, max_examples=12)
@given(sent=st.lists(st.tuples(EVENTS, st.none() | costs()), min_size=20, max_size=30))
def test_every_allowed_event_becomes_the_row_that_was_sent(
    door: Door, sent: list[tuple[dict[str, Any], str | None]]
) -> None:
    named = {str(uuid4()): event for event in sent}
    lines = (sent_json({**event, "event_id": name}, cost) for name, (event, cost) in named.items())
    with door.client() as client:
        answer = client.post(BATCH, content="[" + ",".join(lines) + "]")
    assert answer.status_code == 202, answer.text
    assert rejections(answer) == []
    assert ids(answer) == list(named)
    door.load()
    stored = {str(row["event_id"]): row for row in door.select(ROWS, list(named))}
    assert set(stored) == set(named)
    for name, (event, cost) in named.items():
        row = stored[name]
        found = {**row, **{field: exact(row[f"{field}_text"]) for field in JSON_FIELDS}}
        assert {field: found[field] for field in event} == {
            field: as_stored(field, value) for field, value in event.items()
        }
        assert found["reported_cost_usd"] == (None if cost is None else Decimal(cost))
        assert isinstance(row["project_id"], UUID)


@settings(same_each_time, max_examples=6)
@given(texts=st.lists(number_texts(), min_size=40, max_size=60))
def test_every_number_is_stored_exactly_or_refused(door: Door, texts: list[str]) -> None:
    named = {str(uuid4()): text for text in texts}
    lines = [
        event_text(event_id=f'"{name}"', input_messages=f"[{text}]") for name, text in named.items()
    ]
    with door.client() as client:
        answer = client.post(BATCH, content=b"[" + b",".join([event_text(), *lines]) + b"]")
    assert answer.status_code == 202, answer.text
    assert {field for _, field in rejections(answer)} <= {"input_messages"}
    letters = door.letter_count()
    door.load()
    assert door.letter_count() == letters
    accepted = set(ids(answer)) & set(named)
    stored = {str(row["event_id"]): row for row in door.select(ROWS, list(accepted))}
    assert set(stored) == accepted
    for name in accepted:
        assert exact(stored[name]["input_messages_text"]) == [Decimal(named[name])]


def test_every_stored_event_can_be_shown(door: Door, http: httpx.Client) -> None:
    door.load()
    (stored,) = door.select("select count(*) from raw.llm_events join app.projects as p"
                            " using (project_id) where p.name = 'main'")  # fmt: skip
    seen, cursor = 0, None
    while seen == 0 or cursor:
        page = http.get(RECENT, params={"limit": 500} | ({"cursor": cursor} if cursor else {}))
        assert page.status_code == 200, page.text
        seen, cursor = seen + len(page.json()["events"]), page.json()["next_cursor"]
    assert seen == stored["count"]
