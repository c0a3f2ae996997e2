"""The sensor loads all shards, survives outages, and asks for runs where a shard is far behind."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from ingest_api import stream
from ingest_api.stream import connect
from orchestration.loading.assets import LLM_EVENTS
from orchestration.loading.conftest import Bench, make_event
from orchestration.loading.drain_runs import SHARD_TAG, drain_events_job
from orchestration.loading.sensors import Outage, drain_shards, load_events_sensor
from orchestration.resources import EventStream, Warehouse

AWAY = "postgresql://127.0.0.1:1/none"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


class Ticks:
    """Runs the sensor tick after tick, keeping its cursor as the daemon does."""

    def __init__(self, bench: Bench, redis_url: str, instance: dg.DagsterInstance) -> None:
        self.database_url = bench.database_url
        self.stream = EventStream(redis_url=redis_url, drain_run_events=100)
        self.instance = instance
        self.cursor: str | None = None

    def tick(self) -> Any:
        resources = {
            "warehouse": Warehouse(database_url=self.database_url),
            "event_stream": self.stream,
        }
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources=resources
        ) as context:
            data = load_events_sensor.evaluate_tick(context)
        self.cursor = data.cursor or self.cursor
        return data

    def make_time_pass(self) -> None:
        """As if the pause of the backoff were over."""
        content = json.loads(self.cursor or "")
        content["retry_at"] = datetime.now(UTC).isoformat()
        self.cursor = json.dumps(content)


@pytest.fixture
def ticks(bench: Bench, redis_url: str, instance: dg.DagsterInstance) -> Ticks:
    return Ticks(bench, redis_url, instance)


def test_a_tick_reports_what_it_loaded_and_survives_outages(bench: Bench, ticks: Ticks) -> None:
    bench.put(make_event(), make_event())
    ticks.database_url = AWAY
    data = ticks.tick()
    assert "Postgres is away" in data.skip_message
    assert "Events wait in the stream; none is lost." in data.skip_message
    assert (data.asset_events, data.run_requests) == ([], [])

    ticks.database_url = bench.database_url
    assert "1 failed attempts, the next in" in ticks.tick().skip_message
    assert bench.row_count() == 0

    ticks.make_time_pass()
    (event,) = ticks.tick().asset_events
    assert event.asset_key == LLM_EVENTS
    assert event.metadata["event_count"].value == 2
    assert bench.row_count() == 2
    assert Outage.parse(ticks.cursor) == Outage()


def test_a_tick_without_redis_is_skipped(ticks: Ticks) -> None:
    ticks.stream = EventStream(redis_url="redis://127.0.0.1:1/0")
    assert "Redis is away" in ticks.tick().skip_message
    ticks.make_time_pass()
    ticks.stream = EventStream(redis_url="redis://127.0.0.1:1/0", cluster=True)
    assert "Redis is away" in ticks.tick().skip_message
    assert Outage.parse(ticks.cursor).failed_attempts >= 2


def test_a_shard_far_behind_gets_one_run(bench: Bench, ticks: Ticks) -> None:
    bench.put(make_event())
    bench.client.hincrby(stream.COUNTERS, "accepted_events", 1000)
    (request,) = ticks.tick().run_requests
    assert request.tags[SHARD_TAG] == "0"
    assert request.run_config["ops"] == {"drain_events": {"config": {"shard": 0}}}

    ticks.instance.create_run_for_job(
        drain_events_job, tags=request.tags, status=dg.DagsterRunStatus.STARTED
    )
    bench.put(make_event())
    assert ticks.tick().run_requests == []


def test_a_run_drains_its_shard_and_leaves_no_consumer(bench: Bench, redis_url: str) -> None:
    for _ in range(30):
        bench.put(make_event(), make_event(), shard=2)
    bench.put(make_event())
    resources = {
        "warehouse": Warehouse(database_url=bench.database_url),
        "event_stream": EventStream(redis_url=redis_url, shards=3),
    }
    definitions = dg.Definitions(jobs=[drain_events_job], resources=resources)
    result = definitions.resolve_job_def("drain_events_job").execute_in_process(
        run_config={"ops": {"drain_events": {"config": {"shard": 2}}}}
    )
    (event,) = result.get_asset_materialization_events()
    assert event.asset_key == LLM_EVENTS
    assert event.materialization.metadata["dagster/partition_row_count"].value == 60
    assert bench.row_count() == 60
    assert bench.client.xlen(stream.stream_key(2)) == 0
    assert bench.client.xinfo_consumers(stream.stream_key(2), stream.GROUP) == []
    assert bench.client.xlen(stream.STREAM) == 1


def test_all_shards_of_a_cluster_are_drained_at_once(bench: Bench, cluster_url: str) -> None:
    with connect(cluster_url, cluster=True) as client:
        client.flushall()
        bench.client = client  # type: ignore[assignment]
        for shard in range(3):
            bench.put(make_event(), make_event(), shard=shard)
        cluster = EventStream(redis_url=cluster_url, shards=3, cluster=True)
        report = drain_shards(Warehouse(database_url=bench.database_url), cluster, 1.0, 0)
        assert (report.row_count, report.failure) == (6, None)
        assert cluster.stats().entry_count == 0
        assert cluster.stats().is_loader_alive
