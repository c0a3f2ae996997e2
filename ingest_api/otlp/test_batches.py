"""From a body to what goes into the stream."""

import json
import random
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ingest_api.otlp.aliases import KNOWN
from ingest_api.otlp.answers import MAX_NAMED_REJECTIONS, rejection_words
from ingest_api.otlp.batches import Traces, read_traces
from ingest_api.otlp.decoding import JSON, PROTOBUF
from ingest_api.otlp.spans import SpanRejection
from tests.otlp_spans import as_json, as_protobuf, moment, request, span

NOW = datetime(2026, 11, 24, tzinfo=UTC)
CALL = {
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.input.messages": '[{"role": "user", "content": "secret"}]',
}
# What attributes may hold, well-meant or not.
VALUES: tuple[Any, ...] = (
    "", "chat", "LLM", "true", "a\0b", "x" * 5000, "[", "[1]", '["stop"]', "{", '{"a": {}}', "-1",
    '{"openai": {"usage": {"input_tokens": []}}}', '{"model": 7}', '{"model": "m", "stream": true}',
    0, 1, -1, 7, 10**12, 0.5, 1e300, True, False, [], ["stop", 7, ""], {}, {"a": ["b"]},
)  # fmt: skip


def read(sent: dict[str, Any], media: str = JSON, **options: Any) -> Traces:
    body = as_json(sent) if media == JSON else as_protobuf(sent)
    return read_traces(body, media, UUID(int=1), NOW, 1000, **options)


def test_prompts_stay_out_of_the_stream_unless_they_are_asked_for() -> None:
    sent = request(span(CALL))
    for media in (JSON, PROTOBUF):
        assert b"secret" not in read(sent, media).batches[0].payload
        assert b"secret" in read(sent, media, with_content=True).batches[0].payload


def test_an_event_that_breaks_the_contract_is_rejected_by_its_span() -> None:
    old = span(CALL, 2, startTimeUnixNano="1", endTimeUnixNano="2")
    traces = read(request(span(CALL, 1), old, span(CALL, 3)))
    assert [len(batch.ids) for batch in traces.batches] == [2]
    [rejection] = traces.rejected
    assert rejection.place == "span 0000000000000002"
    assert rejection.reason.startswith("started_at: ")


def test_batches_are_no_larger_than_allowed() -> None:
    sent = request(*[span(CALL, number) for number in range(1, 8)])
    traces = read_traces(as_json(sent), JSON, UUID(int=1), NOW, 3)
    assert [len(batch.ids) for batch in traces.batches] == [3, 3, 1]


def test_whatever_attributes_hold_a_span_is_an_event_or_rejected_or_nothing() -> None:
    rng = random.Random(1)  # noqa: S311 - seeded, so that a failure can be seen again
    names = sorted(KNOWN)
    for _ in range(100):
        spans = [
            span(
                {name: rng.choice(VALUES) for name in rng.sample(names, rng.randint(1, 40))}
                | extra,
                number,
                name=rng.choice(("", "chat gpt-4o", "x" * 300)),
                parentSpanId=f"{rng.randint(1, 5):016x}",
                status={"code": rng.choice((0, 2))},
                events=[moment("exception", rng.choice((-1, 1)), exception__type="a.B")],
            )
            for number, extra in enumerate(({}, {}, CALL, CALL), start=1)
        ]
        scope = rng.choice(("test", "openlit", "logfire.openai", "openinference.x"))
        of_json = read(request(*spans, scope=scope), with_content=True)
        assert read(request(*spans, scope=scope), PROTOBUF, with_content=True) == of_json
        stored = [event for batch in of_json.batches for event in json.loads(batch.payload)]
        assert len(stored) + len(of_json.rejected) <= len(spans)


def test_only_the_first_rejections_are_named() -> None:
    many = [SpanRejection(f"span {number}", "bad") for number in range(MAX_NAMED_REJECTIONS + 2)]
    assert rejection_words(many).endswith("; and 2 more")
    assert rejection_words(many[:1]) == "span 0: bad"
