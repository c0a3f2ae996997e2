"""Real requests of real instrumentations: every call once, and as it was."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from ingest_api.otlp.aliases import is_known
from ingest_api.otlp.batches import Traces, read_traces
from ingest_api.otlp.decoding import JSON, PROTOBUF, decode
from ingest_api.otlp.duplicates import Call
from ingest_api.otlp.mapping import event_id_of, map_spans
from tests.otlp_corpus import DIALECTS, differences, recordings
from tests.otlp_langfuse import FRAMEWORKS, between_neighbours, cases, framework_request
from tests.otlp_spans import as_json

PROJECT = UUID(int=1)
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def read(body: bytes, media: str) -> Traces:
    return read_traces(body, media, PROJECT, NOW, 1000)


def calls_of(body: bytes) -> list[Call]:
    return map_spans(decode(body, JSON, is_known).spans, PROJECT)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_recorded_call_is_one_event_and_says_what_its_span_says(
    corpus_path: Path, dialect: str
) -> None:
    unexplained, lost = [], []
    for recording in recordings(corpus_path, dialect):
        of_json = read(recording.json_body, JSON)
        assert not of_json.rejected
        assert read(recording.protobuf_body, PROTOBUF) == of_json
        calls = calls_of(recording.json_body)
        assert len(calls) <= 1
        if not calls:
            lost.append(recording.truth)
            continue
        found = differences(calls[0].event, calls[0].span, recording.truth)
        unexplained += [(recording.truth["cassette"], d) for d in found if not d.cause]
    assert unexplained == []
    # Logfire's span of an answer without usage, id and choices is that of a stream's opening.
    assert [truth for truth in lost if dialect != "logfire" or truth["usage"]] == []


def test_no_case_of_another_platforms_tests_costs_more_than_its_own_span(
    corpus_path: Path,
) -> None:
    for number, case in enumerate(cases(corpus_path)):
        traces = read(as_json(between_neighbours(case, number)), JSON)
        found = [event_id for batch in traces.batches for event_id in batch.ids]
        good = [event_id_of(PROJECT, f"{number + 1:032x}", f"{place:016x}") for place in (1, 2)]
        assert set(good) <= set(found), case["id"]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_agents_sum_up_is_counted_once(corpus_path: Path, framework: str) -> None:
    body = as_json(framework_request(corpus_path, framework))
    events = [call.event for call in calls_of(body)]
    tokens = [(event.input_tokens or 0, event.output_tokens or 0) for event in events]
    assert (len(events), *map(sum, zip(*tokens, strict=True))) == FRAMEWORKS[framework]
