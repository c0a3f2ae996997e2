"""A request body -> accepted events and one rejection per bad event."""

import json
from datetime import UTC, datetime

import pytest

from ingest_api.accept import accept_batch, accept_event, accept_lines
from ingest_api.errors import BodyTooLargeError, MalformedBodyError

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GOOD = {
    "event_id": "01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a10",
    "provider_name": "openai",
    "request_model": "gpt-4o",
    "started_at": "2026-11-23T10:00:00Z",
    "usage_details": {"prompt_tokens": 1.10},
}
WITHOUT_USAGE = {name: value for name, value in GOOD.items() if name != "usage_details"}

BAD_EVENTS = [
    ({"provider_name": None}, "provider_name"),
    ({"provider_name": ""}, "provider_name"),
    ({"provider_name": "x" * 129}, "provider_name"),
    ({"started_at": "2026-11-23T10:00:00"}, "started_at"),
    ({"started_at": "yesterday"}, "started_at"),
    ({"started_at": 1763892000}, "started_at"),
    ({"started_at": "1970-01-01T00:00:00Z"}, "started_at"),
    ({"event_id": "42"}, "event_id"),
    ({"input_tokens": "12"}, "input_tokens"),
    ({"input_tokens": -1}, "input_tokens"),
    ({"input_tokens": 1.5}, "input_tokens"),
    ({"input_tokens": 10**12}, "input_tokens"),
    ({"input_tokens": True}, "input_tokens"),
    ({"duration_seconds": -0.1}, "duration_seconds"),
    ({"is_stream": "yes"}, "is_stream"),
    ({"usage_details": "none"}, "usage_details"),
    ({"usage_source": "guess"}, "usage_source"),
    ({"usage_semantics": "exclusive"}, "usage_semantics"),
    ({"service_tier": "standard"}, "service_tier"),
    ({"response_finish_reasons": "stop"}, "response_finish_reasons"),
    ({"http_status_code": 999}, "http_status_code"),
    ({"tags": {"a": 1}}, "tags"),
    ({"tags": {"": "empty key"}}, "tags"),
    ({"tags": {str(n): "" for n in range(33)}}, "tags"),
    ({"tags": {"nul": "\u0000"}}, "tags"),
    ({"user_id": "a\u0000b"}, "user_id"),
    ({"reported_cost_usd": "free"}, "reported_cost_usd"),
    ({"input_messages": {"role": "user"}}, "input_messages"),
    ({"model": "gpt-4o"}, "model"),
    ({"request_model": None}, "request_model"),
]


@pytest.mark.parametrize(("change", "guilty"), BAD_EVENTS)
def test_a_bad_event_is_named_and_its_neighbours_are_accepted(
    change: dict[str, object], guilty: str
) -> None:
    body = json.dumps([GOOD, {**GOOD, **change}, GOOD]).encode()
    batch = accept_batch(body, NOW, 1000)
    assert len(batch.ids) == 2
    assert [(r.index, r.field) for r in batch.rejected] == [(1, guilty)]
    assert len(json.loads(batch.payload)) == 2


def test_choices_and_fixes_are_in_the_reason() -> None:
    body = json.dumps([{**GOOD, "service_tier": "standard"}, {**GOOD, "extra": 1}]).encode()
    first, second = accept_batch(body, NOW, 10).rejected
    assert first.reason == "must be one of batch, default, flex, priority"
    assert "put it under tags" in second.reason


def test_reasons_never_quote_a_value() -> None:
    body = json.dumps([{**GOOD, "event_id": "s3cret", "started_at": "s3cret"}]).encode()
    assert all("s3cret" not in r.reason for r in accept_batch(body, NOW, 10).rejected)


def test_verbatim_usage_keeps_its_digits() -> None:
    usage = b'{"x":1.10,"big":12345678901234567890}'
    event = json.dumps(GOOD).encode().replace(b'{"prompt_tokens": 1.1}', usage)
    batch = accept_batch(b"[" + event + b"]", NOW, 10)
    assert usage in batch.payload


def test_an_event_without_id_gets_one() -> None:
    anonymous = {k: v for k, v in GOOD.items() if k != "event_id"}
    batch = accept_event(json.dumps(anonymous).encode(), NOW)
    assert json.loads(batch.payload)[0]["event_id"] == str(batch.ids[0])


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    body = json.dumps([{**GOOD, "user_id": "\\u0000"}]).encode()
    assert accept_batch(body, NOW, 10).rejected == []


def test_lines_are_events_and_blank_lines_are_nothing() -> None:
    line = json.dumps(GOOD).encode()
    batch = accept_lines(b"\n".join([line, b"", b"{oops", line, b""]), NOW, 10)
    assert len(batch.ids) == 2
    assert [r.index for r in batch.rejected] == [1]


@pytest.mark.parametrize(
    "broken",
    [rb'"\ud800"', rb'"\udc00\ud800"', b'"\xff"', b'"\xed\xa0\x80"', b'"', b"nul", b"1e999"],
)
def test_an_event_of_broken_text_costs_its_neighbours_nothing(broken: bytes) -> None:
    good = json.dumps(GOOD).encode()
    bad = good[:-1] + b', "user_id": ' + broken + b"}"
    lines = accept_lines(b"\n".join([good, bad, good]), NOW, 10)
    assert (len(lines.ids), [r.index for r in lines.rejected]) == (2, [1])
    if broken.endswith(b'"') and len(broken) > 1:
        array = accept_batch(b" [ " + b" , ".join([good, bad, good]) + b"\n]\n", NOW, 10)
        assert (len(array.ids), [r.index for r in array.rejected]) == (2, [1])


@pytest.mark.parametrize(
    "usage",
    [
        b'{"a": "\xff"}',
        rb'{"a": "\ud800"}',
        b'{"a": 1e309}',
        b'{"a": 1e-400}',
        b'{"a": ' + b"9" * 400 + b"}",
        b'{"a": ' * 101 + b"1" + b"}" * 101,
        b'{"a": ' * 5000 + b"1" + b"}" * 5000,
    ],
)
def test_usage_that_no_reader_gets_back_is_refused(usage: bytes) -> None:
    body = json.dumps(WITHOUT_USAGE).encode()[:-1] + b', "usage_details": ' + usage + b"}"
    batch = accept_lines(body, NOW, 10)
    assert batch.ids == []
    assert batch.rejected[0].field in {"usage_details", ""}


@pytest.mark.parametrize(
    "usage",
    [
        b'{"a": 1e308, "b": 5e-324, "c": 0e999, "d": -1.5E+2}',
        rb'{"a": "1e999", "b": "[[[[", "c": "\\"}',
        b'{"a": ' * 100 + b"1" + b"}" * 100,
        b'{"a": [' + b"[]," * 200 + b"1]}",
    ],
)
def test_odd_usage_is_kept_verbatim(usage: bytes) -> None:
    body = json.dumps(WITHOUT_USAGE).encode()[:-1] + b', "usage_details": ' + usage + b"}"
    batch = accept_event(body, NOW)
    assert batch.rejected == []
    assert usage in batch.payload


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[", b"[1", b'"x"', b"\xff\xfe", b"[{}]garbage", b'[{"a":"\\ud800"}',
        b'[{"a":"\\ud800"}] x', b'[{"a":"\\ud800"} {}]', b'[{"a":"\\ud800"},]', b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_body_that_is_no_array_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBodyError):
        accept_batch(body, NOW, 10)


def test_a_single_event_body_must_be_an_object() -> None:
    with pytest.raises(MalformedBodyError, match="/ingest/batch"):
        accept_event(b"[]", NOW)


def test_too_many_events_are_refused_as_a_whole() -> None:
    with pytest.raises(BodyTooLargeError, match="may have 1"):
        accept_batch(json.dumps([GOOD, GOOD]).encode(), NOW, 1)
