"""Both forms of a request, well-formed and not."""

import random
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest_api.errors import MalformedBodyError
from ingest_api.otlp.aliases import is_known, keep_all
from ingest_api.otlp.decoding import JSON, PROTOBUF, decode, media_type
from ingest_api.otlp.spans import Decoded
from tests.otlp_spans import START_NANO, TRACE_ID, as_json, as_protobuf, moment, request, span

EVERYTHING = {
    "text": "a",
    "empty": "",
    "whole": -7,
    "zero": 0,
    "real": 0.25,
    "yes": True,
    "no": False,
    "list": ["a", 1],
    "map": {"a": 1, "b": ["c"]},
}


def decode_json(sent: dict[str, Any]) -> Decoded:
    return decode(as_json(sent), JSON, keep_all)


def test_both_forms_of_a_request_are_the_same_spans() -> None:
    sent = request(
        span(EVERYTHING, 1, parentSpanId="00000000000000ff", status={"code": 2, "message": "bad"}),
        span({}, 2, events=[moment("exception", 1, exception__type="openai.APIError")]),
        resource={"service.name": "chat"},
    )
    of_json, of_protobuf = decode_json(sent), decode(as_protobuf(sent), PROTOBUF, keep_all)
    assert of_json == of_protobuf
    first, second = of_json.spans
    assert first.attributes == EVERYTHING
    assert (first.trace_id, first.span_id, first.parent_span_id) == (
        TRACE_ID,
        "0000000000000001",
        "00000000000000ff",
    )
    assert (first.is_error, first.status_message, first.scope_version) == (True, "bad", "1.2")
    assert first.resource == {"service_name": "chat"}
    assert second.moments["exception"].unix_nano == START_NANO + 1_000_000_000


def test_content_is_left_out_unless_it_is_asked_for() -> None:
    sent = request(span({"gen_ai.input.messages": "secret", "gen_ai.request.model": "m"}))
    for media, body in ((JSON, as_json(sent)), (PROTOBUF, as_protobuf(sent))):
        [made] = decode(body, media, is_known).spans
        assert made.attributes == {"gen_ai.request.model": "m"}


def test_json_enums_may_be_names_and_integers_may_be_numbers() -> None:
    sent = request(span({}, startTimeUnixNano=START_NANO, status={"code": "STATUS_CODE_ERROR"}))
    sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"] = [
        {"key": "a", "value": {"intValue": 7}},
        {"key": "b", "value": {"doubleValue": "Infinity"}},
        {"key": "c", "value": {"somethingNew": 7}},
        {"key": "d"},
    ]
    [made] = decode_json(sent).spans
    assert made.is_error
    assert made.start_unix_nano == START_NANO
    assert made.attributes == {"a": 7, "b": float("inf"), "c": None}


@pytest.mark.parametrize(
    "bad",
    [
        {},
        "text",
        7,
        {"traceId": 7},
        span({}, traceId="5b8efff798038103"),
        span({}, traceId="0" * 32),
        span({}, traceId="g" * 32),
        span({}, spanId="+00000000000000f"),
        span({}, spanId=""),
        span({}, name=7),
        span({}, startTimeUnixNano="soon"),
        span({}, startTimeUnixNano="-1"),
        span({}, endTimeUnixNano=2**64),
        span({}, attributes={"a": "b"}),
        span({}, attributes=[{"key": "a", "value": {"intValue": "many"}}]),
        span({}, events=[{"timeUnixNano": []}]),
        span({}, status="bad"),
    ],
)
def test_a_span_that_cannot_be_read_costs_no_neighbour(bad: Any) -> None:
    decoded = decode_json(request(span({}, 1), bad, span({}, 3)))
    assert [made.span_id for made in decoded.spans] == ["0000000000000001", "0000000000000003"]
    [rejection] = decoded.rejected
    assert rejection.place == "resourceSpans[0].scopeSpans[0].spans[1]"
    assert rejection.reason


@pytest.mark.parametrize(
    ("sent", "rejections"),
    [
        ({}, 0),
        ({"resourceSpans": None}, 0),
        ({"resourceSpans": [{}, None]}, 0),
        ({"resourceSpans": [{"scopeSpans": [None, {}, {"spans": None}, {"spans": []}]}]}, 0),
        ({"resourceSpans": [{"scopeSpans": {}}, {"scopeSpans": [{"spans": {}}]}]}, 2),
        ({"resourceSpans": [{"scopeSpans": [{"spans": [{}, {}]}]}]}, 2),
        ({"somethingNew": 1}, 0),
    ],
)
def test_groups_may_be_empty_and_a_bad_one_is_named(sent: Any, rejections: int) -> None:
    decoded = decode_json(sent)
    assert (decoded.spans, len(decoded.rejected)) == ([], rejections)


def test_a_bad_resource_or_scope_costs_no_span() -> None:
    sent = request(span({}))
    sent["resourceSpans"][0]["resource"] = {"attributes": 7}
    sent["resourceSpans"][0]["scopeSpans"][0]["scope"] = []
    [made] = decode_json(sent).spans
    assert (made.resource, made.scope_name) == ({}, "")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"7", b'{"resourceSpans": 7}', b"{", b"\xff", b'{"resourceSpans":' * 5000]
)
def test_a_body_that_is_no_json_request_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBodyError, match="no OTLP/JSON request"):
        decode(body, JSON, is_known)


@pytest.mark.parametrize("depth", [10, 150, 250, 300, 320, 340, 500, 50_000])
def test_values_nested_too_deeply_are_rejected(depth: int) -> None:
    deep = '{"arrayValue":{"values":[' * depth + "{}" + "]}}" * depth
    body = as_json(request(span({}, 1), "DEEP")).replace(
        b'"DEEP"',
        as_json(span({}, 2, attributes="VALUE")).replace(
            b'"VALUE"', b'[{"key":"a","value":' + deep.encode() + b"}]"
        ),
    )
    with nullcontext() if depth <= 100 else suppress(MalformedBodyError):
        decoded = decode(body, JSON, keep_all)
        assert len(decoded.spans) + len(decoded.rejected) == 2


def test_a_protobuf_span_that_is_no_utf8_costs_no_neighbour() -> None:
    body = as_protobuf(request(span({}, 1), span({"gen_ai.request.model": "MARK"}, 2), span({}, 3)))
    decoded = decode(body.replace(b"MARK", b"\xff\xfe\xfd\xfc"), PROTOBUF, is_known)
    assert [made.span_id for made in decoded.spans] == ["0000000000000001", "0000000000000003"]
    assert [r.place for r in decoded.rejected] == ["resource_spans[0].scope_spans[0].spans[1]"]
    with pytest.raises(MalformedBodyError, match="no valid protobuf"):
        decode(b"\x0a\xff", PROTOBUF, is_known)


def test_protobuf_ids_must_be_ids() -> None:
    sent = ExportTraceServiceRequest()
    part = sent.resource_spans.add().scope_spans.add()
    part.spans.add(trace_id=b"short", span_id=b"12345678")
    part.spans.add(trace_id=b"1" * 16, span_id=bytes(8))
    part.spans.add(trace_id=b"1" * 16, span_id=b"12345678", parent_span_id=b"odd")
    decoded = decode(sent.SerializeToString(), PROTOBUF, is_known)
    assert [made.parent_span_id for made in decoded.spans] == [None]
    assert len(decoded.rejected) == 2


@pytest.mark.parametrize("media", [JSON, PROTOBUF])
def test_no_bytes_make_the_decoder_fail_otherwise(media: str) -> None:
    """A request with bytes changed, left out and doubled is read, in part, or is malformed."""
    sent = request(
        span(EVERYTHING, 1, events=[moment("exception", 1, exception__type="E")]),
        span(EVERYTHING, 2),
        resource={"service.name": "chat"},
    )
    whole = as_json(sent) if media == JSON else as_protobuf(sent)
    rng = random.Random(1)  # noqa: S311 - seeded, so that a failure can be seen again
    for _ in range(3000):
        body = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            at = rng.randrange(len(body))
            body[at : at + rng.choice((0, 1, 1, 4))] = rng.randbytes(rng.choice((0, 1, 1, 2)))
        try:
            decode(bytes(body), media, keep_all)
        except MalformedBodyError:
            continue


@pytest.mark.parametrize(
    ("content_type", "media"),
    [
        ("application/json", JSON),
        ("Application/JSON; charset=utf-8", JSON),
        ("application/x-protobuf", PROTOBUF),
        ("application/protobuf", PROTOBUF),
        ("text/plain", None),
        ("", None),
    ],
)
def test_media_types(content_type: str, media: str | None) -> None:
    assert media_type(content_type) == media
