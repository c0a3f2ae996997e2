"""The micro-batcher: a sensor that loads the stream and reports each tick as a materialisation."""

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import BoundedSemaphore
from typing import Final

import dagster as dg
import psycopg

from ingest_api.stream import REDIS_ERRORS, StreamStats
from orchestration.loading.backoff import backoff_seconds
from orchestration.loading.drain_runs import drain_events_job, drain_request, has_drain_under_way
from orchestration.loading.loader import Loader, LoadReport, add_up, in_words
from orchestration.loading.materializations import materializations
from orchestration.resources import MAX_LOADER_CONNECTIONS, EventStream, Warehouse

# The daemon starts a pass over its sensors every 5 s at the earliest, so a tick listens for most
# of that time: an event is committed within a second of its arrival, and at worst after the gap.
DRAIN_SECONDS: Final = 4.0
# Where much comes the gap between two ticks would cost a fifth of the throughput. A tick that takes
# longer than 60 s has failed for the daemon.
BUSY_DRAIN_SECONDS: Final = 24.0
CONSUMER: Final = "load_events_sensor"
NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Outage:
    """The sensor's memory: how often in a row loading failed, why, and when to try again."""

    failed_attempts: int = 0
    reason: str = ""
    retry_at: datetime = NEVER

    @classmethod
    def parse(cls, cursor: str | None) -> "Outage":
        """From a cursor; without one, nothing has failed."""
        if not cursor:
            return cls()
        content = json.loads(cursor)
        retry_at = datetime.fromisoformat(content["retry_at"])
        return cls(content["failed_attempts"], content["reason"], retry_at)

    @classmethod
    def after(cls, report: LoadReport, now: datetime) -> "Outage":
        """What a drain leaves behind."""
        if report.failure is None:
            return cls()
        pause = timedelta(seconds=backoff_seconds(report.failed_attempts))
        return cls(report.failed_attempts, report.failure, now + pause)

    def __str__(self) -> str:
        return json.dumps(
            {
                "failed_attempts": self.failed_attempts,
                "reason": self.reason,
                "retry_at": self.retry_at.isoformat(),
            }
        )

    def skip_reason(self, now: datetime) -> str:
        """For people who look at the ticks."""
        seconds = max(0.0, (self.retry_at - now).total_seconds())
        return (
            f"{self.reason} ({self.failed_attempts} failed attempts, the next in {seconds:.0f} s). "
            "Events wait in the stream; none is lost."
        )


@dg.sensor(
    name="load_events_sensor",
    job=drain_events_job,
    # Every pass of the daemon: with 5, a pass that comes a moment early would skip this sensor.
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reads the event stream for 4 s at a time, for 24 s where much comes, commits to "
    "the raw tables, then acknowledges. Asks for a run of drain_events_job where a shard has "
    "fallen far behind.",
)
def load_events_sensor(
    context: dg.SensorEvaluationContext,
    warehouse: dg.ResourceParam[Warehouse],
    event_stream: dg.ResourceParam[EventStream],
) -> dg.SensorResult | dg.SkipReason:
    """One tick: drain all shards for `DRAIN_SECONDS`, report what was loaded."""
    outage, now = Outage.parse(context.cursor), datetime.now(UTC)
    if now < outage.retry_at:
        return dg.SkipReason(outage.skip_reason(now))
    report = drain_shards(warehouse, event_stream, DRAIN_SECONDS, outage.failed_attempts)
    now = datetime.now(UTC)
    left = Outage.after(report, now)
    if not report.commit_count:
        reason = left.skip_reason(now) if report.failure else "No event came since the last tick."
        return dg.SensorResult(skip_reason=reason, cursor=str(left))
    stats = shard_stats(event_stream)
    return dg.SensorResult(
        asset_events=materializations(report, stats),
        run_requests=drain_requests(context.instance, stats, event_stream.drain_run_events),
        cursor=str(left),
    )


def drain_shards(
    warehouse: Warehouse, event_stream: EventStream, seconds: float, failed_attempts: int
) -> LoadReport:
    """Drain all shards at once, each in a thread that mostly waits; their reports added up."""
    free = BoundedSemaphore(MAX_LOADER_CONNECTIONS - 1)

    @contextmanager
    def lend() -> Iterator[psycopg.Connection]:
        # The pool takes a long wait for an outage, and many shards may be busy at once.
        with free, warehouse.borrow() as connection:
            yield connection

    drain = partial(_drain_shard, lend, event_stream, seconds, failed_attempts)
    with ThreadPoolExecutor(event_stream.shards) as threads:
        return add_up(list(threads.map(drain, range(event_stream.shards))))


def _drain_shard(
    lend: Callable[[], AbstractContextManager[psycopg.Connection]],
    stream: EventStream,
    seconds: float,
    failed_attempts: int,
    shard: int,
) -> LoadReport:
    try:
        reader = stream.reader(CONSUMER, shard)
    except REDIS_ERRORS as error:
        return LoadReport(failure=in_words(error), failed_attempts=failed_attempts + 1)
    return Loader(reader, lend).drain(
        seconds, busy_seconds=BUSY_DRAIN_SECONDS, failed_attempts=failed_attempts
    )


def shard_stats(event_stream: EventStream) -> list[StreamStats]:
    """State of each shard; empty while Redis is away."""
    try:
        shards = range(event_stream.shards)
        return [event_stream.reader(CONSUMER, shard).stats() for shard in shards]
    except REDIS_ERRORS:
        return []


def drain_requests(
    instance: dg.DagsterInstance, shards: Iterable[StreamStats], max_events: int
) -> list[dg.RunRequest]:
    """A run for each shard that is too far behind and has none under way."""
    return [
        drain_request(shard)
        for shard, stats in enumerate(shards)
        if stats.lag_event_count > max_events and not has_drain_under_way(instance, shard)
    ]
