"""Events that break the contract: each is refused by field, and costs its neighbours nothing."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import httpx
import pytest

from tests.api.door import (
    BATCH,
    INGEST,
    NDJSON,
    Door,
    event_text,
    ids,
    nested,
    problem_of,
    rejections,
)


class Bad(NamedTuple):
    """A field, to be named by the answer, and a JSON text that it must not have (None: missing)."""

    field: str
    text: str | None

    def event(self) -> bytes:
        """A good event but for this."""
        return event_text(**{self.field: self.text})


# What clients send by mistake or on purpose: wrong types, ranges, times, identities, characters
# that no column holds, JSON that one parser takes and another does not.
BAD_EVENTS = [
    # required
    Bad("provider_name", None),
    Bad("provider_name", "null"),
    Bad("started_at", None),
    Bad("started_at", "null"),
    Bad("request_model", None),
    Bad("request_model", "null"),
    # text
    Bad("provider_name", '""'),
    Bad("provider_name", '"' + "x" * 129 + '"'),
    Bad("provider_name", "7"),
    Bad("provider_name", '["openai"]'),
    Bad("request_model", '"' + "m" * 257 + '"'),
    Bad("response_model", "{}"),
    Bad("operation_name", "null"),
    Bad("user_id", "42"),
    Bad("user_id", '""'),
    Bad("user_id", '"' + "é" * 257 + '"'),
    Bad("error_message", '"' + "x" * 2001 + '"'),
    Bad("trace_id", "true"),
    # characters that Postgres does not store
    Bad("user_id", r'"a\u0000b"'),
    Bad("tags", r'{"k": "\u0000"}'),
    Bad("tags", r'{"\u0000": "v"}'),
    Bad("usage_details", r'{"deep": [{"\u0000": 1}]}'),
    Bad("input_messages", r'[{"role": "user", "content": "\u0000"}]'),
    # times
    Bad("started_at", '"yesterday"'),
    Bad("started_at", "1763892000"),
    Bad("started_at", '"2026-11-22T10:00:00"'),
    Bad("started_at", '"2026-11-22"'),
    Bad("started_at", '"2026-02-30T10:00:00Z"'),
    Bad("started_at", '"2026-11-22T24:00:00Z"'),
    Bad("started_at", '"2026-11-22T10:00:00+99:00"'),
    Bad("started_at", '"1970-01-01T00:00:00Z"'),
    Bad("started_at", '"2019-12-31T23:59:59.999999Z"'),
    Bad("started_at", '"9999-12-31T23:59:59Z"'),
    Bad("started_at", f'"{(datetime.now(UTC) + timedelta(days=2)).date()}T00:00:01Z"'),
    Bad("started_at", '"0001-01-01T00:00:00+23:59"'),
    Bad("ended_at", '"2026-01-01T00:00:00Z"'),
    Bad("ended_at", '"9999-12-31T23:59:59-23:59"'),
    Bad("ended_at", '"0001-01-01T00:00:00+23:59"'),
    Bad("ended_at", "0"),
    # seconds
    Bad("duration_seconds", "-0.001"),
    Bad("duration_seconds", "604801"),
    Bad("duration_seconds", '"1.5"'),
    Bad("duration_seconds", "1e999"),
    Bad("time_to_first_chunk_seconds", "-1"),
    Bad("time_to_first_chunk_seconds", "9" * 400),
    # counts
    Bad("input_tokens", '"12"'),
    Bad("input_tokens", "-1"),
    Bad("input_tokens", "1.5"),
    Bad("input_tokens", "5.0"),
    Bad("input_tokens", "1e5"),
    Bad("input_tokens", "true"),
    Bad("input_tokens", "1000000001"),
    Bad("input_tokens", "9" * 5000),
    Bad("output_tokens", "[1]"),
    Bad("cache_read_input_tokens", "-1"),
    Bad("cache_write_input_tokens", "18446744073709551616"),
    Bad("cache_write_1h_input_tokens", "{}"),
    Bad("reasoning_output_tokens", '"many"'),
    Bad("input_audio_tokens", "-5"),
    Bad("output_audio_tokens", "0.1"),
    Bad("input_image_tokens", "false"),
    # identities
    Bad("event_id", '"42"'),
    Bad("event_id", "42"),
    Bad("event_id", '"{01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a10}"'),
    Bad("event_id", '"01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a1g"'),
    Bad("event_id", '""'),
    # choices
    Bad("usage_source", '"guess"'),
    Bad("usage_semantics", '"exclusive"'),
    Bad("usage_semantics", "null"),
    Bad("service_tier", '"standard"'),
    Bad("is_stream", '"yes"'),
    Bad("is_stream", "1"),
    Bad("http_status_code", "99"),
    Bad("http_status_code", "600"),
    Bad("http_status_code", '"200"'),
    # lists and maps
    Bad("response_finish_reasons", '"stop"'),
    Bad("response_finish_reasons", "[null]"),
    Bad("response_finish_reasons", "[" + ", ".join(['"stop"'] * 33) + "]"),
    Bad("tags", "[]"),
    Bad("tags", '{"team": 1}'),
    Bad("tags", '{"team": null}'),
    Bad("tags", '{"team": {"name": "search"}}'),
    Bad("tags", '{"": "empty"}'),
    Bad("tags", '{"' + "k" * 65 + '": "long"}'),
    Bad("tags", '{"k": "' + "v" * 257 + '"}'),
    Bad("tags", "{" + ", ".join(f'"{n}": ""' for n in range(33)) + "}"),
    # JSON that is passed through
    Bad("usage_details", '"none"'),
    Bad("usage_details", "[]"),
    Bad("usage_details", '{"k": "' + "x" * 16 * 1024 + '"}'),
    Bad("input_messages", '{"role": "user"}'),
    Bad("output_messages", '"hello"'),
    Bad("output_messages", '["' + "x" * 1024 * 1024 + '"]'),
    # money
    Bad("reported_cost_usd", "-0.01"),
    Bad("reported_cost_usd", "1000000.01"),
    Bad("reported_cost_usd", '"free"'),
    Bad("reported_cost_usd", '""'),
    Bad("reported_cost_usd", '"NaN"'),
    Bad("reported_cost_usd", '"-Infinity"'),
    Bad("reported_cost_usd", "1e400"),
    Bad("reported_cost_usd", "1e-400"),
    Bad("reported_cost_usd", "0." + "0" * 18 + "1"),
    # fields that are none
    Bad("model", '"gpt-4o"'),
    Bad("input_token", "5"),
    Bad("project_id", '"01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a10"'),
    Bad("Provider_Name", '"openai"'),
    Bad("metadata", nested(20)),
]


def describe(case: Bad) -> str:
    """A short name of the case for the list of tests."""
    return f"{case.field}={(case.text or 'missing')[:30]}"


@pytest.mark.parametrize("case", BAD_EVENTS, ids=describe)
def test_a_bad_event_alone_is_refused_by_its_field(http: httpx.Client, case: Bad) -> None:
    answer = http.post(INGEST, content=case.event())
    assert (answer.status_code, problem_of(answer)) == (422, "rejected-events")
    assert rejections(answer) == [(0, case.field)]


@pytest.mark.parametrize(
    ("opening", "between", "closing", "headers"),
    [(b"[", b",", b"]", {}), (b"", b"\n", b"\n", NDJSON)],
    ids=["array", "ndjson"],
)
def test_neighbours_of_bad_events_are_accepted_and_become_rows(
    door: Door, http: httpx.Client, opening: bytes, between: bytes, closing: bytes,
    headers: dict[str, str],
) -> None:  # fmt: skip
    texts = [text for case in BAD_EVENTS for text in (event_text(), case.event())]
    body = opening + between.join([*texts, event_text()]) + closing
    answer = http.post(BATCH, content=body, headers=headers)
    assert answer.status_code == 202
    assert rejections(answer) == [(2 * n + 1, case.field) for n, case in enumerate(BAD_EVENTS)]
    accepted = ids(answer)
    assert len(accepted) == len(BAD_EVENTS) + 1
    door.load()
    assert door.rows(accepted) == dict.fromkeys(accepted, 1)


def test_no_answer_quotes_a_value(http: httpx.Client) -> None:
    secret = '"sk-s3cret"'
    bad = [
        event_text(**{field: secret})
        for field in ("event_id", "started_at", "input_tokens", "service_tier", "tags",
                      "usage_details", "reported_cost_usd", "input_messages", "is_stream")
    ]  # fmt: skip
    answer = http.post(BATCH, content=b"[" + b",".join(bad) + b"]")
    assert answer.status_code == 422
    assert len(rejections(answer)) == len(bad)
    assert "s3cret" not in answer.text


# Odd, but as the contract has it: the counts are what the provider said, and a check of the raw
# table judges how they fit together (quality/raw_llm_events.py).
ODD_EVENTS = {
    "more cached than sent": {"input_tokens": "1", "cache_read_input_tokens": "2"},
    "more reasoning than answered": {"output_tokens": "1", "reasoning_output_tokens": "2"},
    "a repeated field, whose last value counts": {"input_tokens": '1, "input_tokens": 2'},
    "an emoji in two escapes": {"user_id": r'"\ud83d\ude00"'},
    "every control character but NUL": {"tags": r'{"\u0001\u001f\u007f": "\b\f\n\r\t"}'},
    "an escaped backslash before u0000": {"user_id": r'"\\u0000"'},
    "the end-of-copy mark": {"user_id": r'"\\."', "environment": r'"\\N"'},
    "the smallest double": {"duration_seconds": "5e-324"},
    "exponents": {"reported_cost_usd": "1E-18", "duration_seconds": "1e2"},
    "finish reasons like array literals": {"response_finish_reasons": r'["NULL", "{}", "a,\"b"]'},
    "verbatim digits": {"usage_details": '{"x": 1.10, "big": 12345678901234567890}'},
    "nulls": {"ended_at": "null", "tags": "null", "usage_details": "null", "is_stream": "null"},
}


def test_odd_but_allowed_events_are_accepted_and_become_rows(
    door: Door, http: httpx.Client
) -> None:
    body = b"[" + b",".join(event_text(**odd) for odd in ODD_EVENTS.values()) + b"]"
    answer = http.post(BATCH, content=body)
    assert answer.status_code == 202
    assert rejections(answer) == []
    door.load()
    assert door.rows(ids(answer)) == dict.fromkeys(ids(answer), 1)
