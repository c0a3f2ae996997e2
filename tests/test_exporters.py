"""Must hold for whoever sets `OTEL_EXPORTER_OTLP_ENDPOINT` today: what was answered is what is in
the ledger, and what cannot be read costs nobody else anything."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from ingest_api.stream import EventStreamReader
from orchestration.loading.loader import Loader
from tests.environments import side_environment
from tests.exporters.judgement import GAPS, judge, read_rows
from tests.exporters.processes import CALLS_PER_PROCESS, INSTRUMENTATIONS, export_calls
from tests.otlp_langfuse import FRAMEWORKS, between_neighbours, cases, framework_request
from tests.running import RunningPlatform, run_platform

TRACES = "/v1/traces"
NEIGHBOURS = """
select count(*) from raw.llm_events where trace_id = %s and span_id like repeat('0', 15) || '_'
"""
FRAMEWORK_CALLS = """
select count(*), coalesce(sum(input_tokens), 0)::int, coalesce(sum(output_tokens), 0)::int
from raw.llm_events where trace_id = any(%s)
"""


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """The API in a process of its own, on its own Redis and PostgreSQL."""
    home = tmp_path_factory.mktemp("receiver")
    with run_platform(home, only=["postgres", "redis", "api"]) as running:
        yield running


def load(platform: RunningPlatform) -> None:
    with redis.Redis.from_url(platform.redis_url) as client:
        reader = EventStreamReader(client, "test")
        Loader(reader, lambda: psycopg.connect(platform.database_url)).drain(0.3)


@pytest.mark.timeout(300)
def test_each_call_of_a_current_instrumentation_is_one_row_as_the_provider_answered_it(
    receiver: RunningPlatform,
) -> None:
    answers = export_calls(side_environment("instrumentations"), receiver.api_url, receiver.api_key)
    load(receiver)
    with psycopg.connect(receiver.database_url) as connection:
        rows = read_rows(connection, INSTRUMENTATIONS)
    verdict = judge(answers, rows)
    assert len(answers) == CALLS_PER_PROCESS * len(INSTRUMENTATIONS)
    assert (verdict.missing, verdict.surplus) == ([], [])
    assert verdict.gaps == GAPS


def test_an_odd_span_costs_its_neighbours_nothing(
    receiver: RunningPlatform, corpus_path: Path
) -> None:
    found = cases(corpus_path)
    with receiver.client() as client:
        for number, case in enumerate(found):
            answer = client.post(TRACES, json=between_neighbours(case, number))
            assert answer.status_code == 200, case["id"]
    load(receiver)
    for number, case in enumerate(found):
        assert receiver.query(NEIGHBOURS, f"{number + 1:032x}") == [(2,)], case["id"]


def test_what_an_agent_sums_up_is_counted_once_in_the_ledger(
    receiver: RunningPlatform, corpus_path: Path
) -> None:
    traces: dict[str, set[str]] = {}
    with receiver.client() as client:
        for framework in FRAMEWORKS:
            sent = framework_request(corpus_path, framework)
            answer = client.post(TRACES, json=sent)
            assert (answer.status_code, answer.json()) == (200, {}), framework
            spans = [group["scopeSpans"][0]["spans"][0] for group in sent["resourceSpans"]]
            traces[framework] = {span["traceId"] for span in spans}
    load(receiver)
    counted = {
        framework: receiver.query(FRAMEWORK_CALLS, list(ids))[0]
        for framework, ids in traces.items()
    }
    assert counted == FRAMEWORKS
