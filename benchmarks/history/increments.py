"""One increment: new calls by the loader's own path, then a whole build with its tests."""

import asyncio
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any, Final, NamedTuple

import msgspec
import psycopg
import redis.asyncio

from benchmarks.history.building import build
from benchmarks.history.rows import PROJECTS
from benchmarks.idle import measure
from benchmarks.ingest.loading import loader_process, wait_until_settled
from ingest_api.stream import EventStreamWriter, Source
from tests.running import RunningPlatform

NEW_CALLS: Final = 60_000
BATCH_EVENTS: Final = 100
NEW_CALLS_SECONDS: Final = 60
# The newest calls of the history's largest project once more, as events at another time: whatever
# hangs on the shape of calls, such as the size of a row, is as it was.
NEW_EVENTS: Final = """
select jsonb_strip_nulls(to_jsonb(newest) - 'number' || jsonb_build_object(
    'event_id', gen_random_uuid(),
    'conversation_id', md5(conversation_id || %(begin)s::text),
    'response_id', 'chatcmpl-' || md5(response_id || %(begin)s::text),
    'started_at', %(begin)s::timestamptz + number * %(step)s * interval '1 second'
)) as event
from (
    select
        provider_name, request_model, response_model, operation_name, duration_seconds,
        time_to_first_chunk_seconds, is_stream, input_tokens, output_tokens,
        cache_read_input_tokens, usage_details, usage_source, usage_semantics, response_id,
        error_type, http_status_code, user_id, conversation_id, environment, service_name, tags,
        reported_cost_usd, sdk_name, sdk_version,
        row_number() over (order by started_at, event_id) - 1 as number
    from raw.llm_events
    where project_id = %(project_id)s
        and started_at < (select ended_at from benchmark.history_ends)
        and started_at > (select ended_at - interval '1 day' from benchmark.history_ends)
    order by number limit %(count)s
) as newest
order by number
"""


class Spent(NamedTuple):
    """Time of the clock, and of all processors together: dbt's and PostgreSQL's."""

    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Increment:
    """What one increment took.

    Attributes:
        load: The new calls, from the stream to the last acknowledgement.
        build: Prices, models and tests.
        model_seconds: Of each model and test of the build, by the clock.
    """

    load: Spent
    build: Spent
    model_seconds: dict[str, float]

    @property
    def loaded_per_second(self) -> float:
        """Calls."""
        return NEW_CALLS / self.load.seconds


def measure_increment(services: RunningPlatform, begin: datetime | None = None) -> Increment:
    """Load 60,000 calls, then build and test the marts.

    Args:
        services: With a history.
        begin: When the first of the calls started, all within a minute; else the last minute.
    """
    fill_stream(services, begin or datetime.now(UTC) - timedelta(seconds=NEW_CALLS_SECONDS))
    with loader_process(services.environment) as loader:
        assert loader.stdin is not None  # noqa: S101 - it is a pipe
        load = spent(services, lambda: _load(services, loader))
    built = spent(services, lambda: build(services, is_tested=True))
    return Increment(load, built, read_model_seconds(services.home))


def spent(services: RunningPlatform, work: Callable[[], None]) -> Spent:
    """What `work` takes."""
    started, cpu_before = time.perf_counter(), _cpu_seconds(services)
    work()
    return Spent(time.perf_counter() - started, _cpu_seconds(services) - cpu_before)


def fill_stream(services: RunningPlatform, begin: datetime) -> None:
    """New calls of the largest project in a stream that was empty.

    Raises:
        LookupError: the history is too short to be repeated.
    """
    ((tenant_id, project_id),) = services.query(
        "select tenant_id, project_id from app.projects where name = %s", PROJECTS[0]
    )
    values = {
        "project_id": project_id, "begin": begin, "count": NEW_CALLS,
        "step": NEW_CALLS_SECONDS / NEW_CALLS,
    }  # fmt: skip
    with psycopg.connect(services.database_url) as connection:
        events = [event for (event,) in connection.execute(NEW_EVENTS, values)]
    if len(events) < NEW_CALLS:
        raise LookupError(f"a history of at least a day is needed: {services.home} has less")
    asyncio.run(_fill(services.redis_url, Source(tenant_id, project_id, None), events))


def read_model_seconds(home: Path) -> dict[str, float]:
    """Seconds by model or test of the last build."""
    results = json.loads((home / "dbt" / "run_results.json").read_text())["results"]
    return {one["unique_id"].split(".")[2]: one["execution_time"] for one in results}


async def _fill(redis_url: str, source: Source, events: Sequence[dict[str, Any]]) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.flushdb()
        writer = EventStreamWriter(client=client, max_entries=NEW_CALLS)
        for first in range(0, len(events), BATCH_EVENTS):
            batch = events[first : first + BATCH_EVENTS]
            await writer.append(source, msgspec.json.encode(batch), len(batch))


def _load(services: RunningPlatform, loader: subprocess.Popen[str]) -> None:
    print("go", file=loader.stdin, flush=True)
    wait_until_settled(services.redis_url)


def _cpu_seconds(services: RunningPlatform) -> float:
    """Of PostgreSQL and all children of this process that have ended."""
    pid = services.pid("postgres")
    assert pid is not None  # noqa: S101 - the services run
    ended = getrusage(RUSAGE_CHILDREN)
    return (
        ended.ru_utime + ended.ru_stime + sum(usage.cpu_seconds for usage in measure(pid).values())
    )
