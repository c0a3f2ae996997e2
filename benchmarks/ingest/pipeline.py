"""The whole way on a running platform: latency of answers, lag of rows, sustained throughput.

The loader is the one that ships: its sensor, ticked by Dagster's daemon in the code server.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from time import monotonic, sleep
from typing import Final, NamedTuple

import psycopg
import redis

from benchmarks.idle import cpu_seconds, process_tree
from benchmarks.ingest.figures import Figure, at_least, below
from benchmarks.ingest.open_loop import LoadResult, read_result, run_generator
from deploy.local.environment import without_driver
from ingest_api.stream import read_stats_blocking
from tests.kills.oracle import wait_until_drained
from tests.running import RunningPlatform, run_platform, wait_until

SERVERS: Final = ("postgres", "redis", "api")
LOADING: Final = ("code_server", "daemon")
LATENCY_EVENTS_PER_SECOND: Final = 5_000
LATENCY_SECONDS: Final = 20.0
MOST_LATENCY_MS: Final = 10.0
LAG_EVENTS_PER_SECOND: Final = 1_000
LAG_SECONDS: Final = 30.0
MOST_LAG_SECONDS: Final = 6.0
BATCH_EVENTS: Final = 100
# A little more than must be committed, because the loader commits in steps.
OFFERED_EVENTS_PER_SECOND: Final = 31_000
LEAST_SUSTAINED: Final = 30_000
SUSTAINED_SECONDS: Final = 60.0
# What nobody drains grows by two thirds from the middle to the last third. A second's worth may be
# added: of a loader that keeps up often nothing waits.
MOST_GROWTH_RATIO: Final = 1.2
# The first stamp of the requests of each part; none sends as many.
STAMPS: Final = {"warm-up": 0 << 28, "latency": 1 << 28, "lag": 2 << 28, "sustained": 3 << 28}
LAGS: Final = """
select extract(epoch from percentile_disc(0.5) within group (order by loaded_at - received_at)),
    extract(epoch from percentile_disc(0.99) within group (order by loaded_at - received_at))
from raw.llm_events where event_id::text >= %s and event_id::text < %s
"""
RUNS_UNDER_WAY: Final = """
select count(*) from runs where status not in ('SUCCESS', 'FAILURE', 'CANCELED')
"""
RUN_SECONDS: Final = 180.0
COUNT: Final = "select count(*) from raw.llm_events where event_id::text >= %s"


class Sample(NamedTuple):
    """The stream at one moment.

    Attributes:
        at: Seconds on the monotonic clock.
        waiting_events: Accepted, and neither loaded nor set aside yet.
        settled_events: Events loaded, or set aside, since the stream was made.
    """

    at: float
    waiting_events: int
    settled_events: int


def run_latency() -> Iterator[Figure]:
    """Without a loader: what the door itself takes."""
    with (
        tempfile.TemporaryDirectory() as folder,
        run_platform(Path(folder) / "home", SERVERS) as platform,
    ):
        warm_up(platform)
        yield from latency_figures("API and Redis alone", offer_singles(platform, "latency"))


def run_whole() -> Iterator[Figure]:
    """With the loader: latency, lag and sustained throughput on one platform."""
    with (
        tempfile.TemporaryDirectory() as folder,
        run_platform(Path(folder) / "home", (*SERVERS, *LOADING)) as platform,
    ):
        warm_up(platform)
        yield from latency_figures("loader at work", offer_singles(platform, "latency"))
        wait_until_drained(platform)
        yield from measure_lag(platform)
        stop_builds(platform)
        wait_until_drained(platform)
        yield from measure_sustained(platform)


def warm_up(platform: RunningPlatform) -> None:
    """Connections, caches and chunks are there before anything is measured."""
    read_result(run_generator(platform, STAMPS["warm-up"], 500, 4, 0))


def offer_singles(platform: RunningPlatform, part: str) -> LoadResult:
    """Single events at the rate at which latency is measured."""
    load = (LATENCY_EVENTS_PER_SECOND, LATENCY_SECONDS, 0)
    return read_result(run_generator(platform, STAMPS[part], *load))


def latency_figures(condition: str, result: LoadResult) -> Iterator[Figure]:
    """Median and 99th percentile of the answers."""
    name = f"latency at {LATENCY_EVENTS_PER_SECOND:,} single events/s, {condition}"
    if result.failures:
        yield Figure(f"{name}: failures", f"{result.failures}", "none", is_met=False)
    yield Figure(f"{name}: p50", f"{result.p50_ms:.1f} ms")
    yield below(f"{name}: p99", result.p99_ms, MOST_LATENCY_MS, "ms")


def measure_lag(platform: RunningPlatform) -> Iterator[Figure]:
    """From the API's write to the stamp that the loader sets just before it commits."""
    load = (LAG_EVENTS_PER_SECOND, LAG_SECONDS, 0)
    read_result(run_generator(platform, STAMPS["lag"], *load))
    wait_until_drained(platform)
    bounds = (f"{STAMPS['lag']:08x}", f"{STAMPS['sustained']:08x}")
    ((p50, p99),) = platform.query(LAGS, *bounds)
    name = f"accepted to committed at {LAG_EVENTS_PER_SECOND:,} events/s"
    yield Figure(f"{name}: p50", f"{p50:.1f} s")
    yield below(f"{name}: p99", float(p99), MOST_LAG_SECONDS, "s")


def stop_builds(platform: RunningPlatform) -> None:
    """Ingestion is measured, not the marts: no build takes the cores meanwhile.

    Raises:
        AssertionError: a run goes on for longer than `RUN_SECONDS`.
    """
    platform.run_command(
        "dagster", "sensor", "stop", "build_marts_sensor", "-w", "deploy/workspace.yaml"
    )
    url = without_driver(platform.environment["DAGSTER_DATABASE_URL"])

    def none_is_under_way() -> bool:
        with psycopg.connect(url) as connection:
            return connection.execute(RUNS_UNDER_WAY).fetchone() == (0,)

    wait_until(none_is_under_way, "all runs have ended", RUN_SECONDS)


def measure_sustained(platform: RunningPlatform) -> Iterator[Figure]:
    """Batches at a fixed rate for a minute: all become rows, and the stream does not grow."""
    rate = OFFERED_EVENTS_PER_SECOND / BATCH_EVENTS
    before = processor_seconds(platform)
    generator = run_generator(platform, STAMPS["sustained"], rate, SUSTAINED_SECONDS, BATCH_EVENTS)
    samples = sample_stream(platform.redis_url, SUSTAINED_SECONDS)
    result = read_result(generator)
    wait_until_drained(platform)
    spent = processor_seconds(platform)
    ((rows,),) = platform.query(COUNT, f"{STAMPS['sustained']:08x}")
    name = f"sustained, {OFFERED_EVENTS_PER_SECOND:,} events/s offered"
    yield Figure(f"{name}: offered / rows", f"{result.events:,} / {rows:,}", "equal",
                 rows == result.events)  # fmt: skip
    yield at_least(f"{name}: committed events/s", committed_rate(samples), LEAST_SUSTAINED)
    used = {part: spent[part] - before[part] for part in before}
    used["load generator"] = result.cpu_seconds
    parts = ", ".join(f"{part} {1e6 * seconds / rows:.1f}" for part, seconds in used.items())
    yield Figure(f"{name}: processor time of an event", f"{parts} µs")
    middle, last = thirds(samples)
    yield Figure(
        f"{name}: mean of the events that wait, middle and last third of the minute",
        f"{middle:,.0f}, {last:,.0f}", "no growth",
        last <= middle * MOST_GROWTH_RATIO + OFFERED_EVENTS_PER_SECOND,
    )  # fmt: skip


def processor_seconds(platform: RunningPlatform) -> dict[str, float]:
    """What each part of the platform has used so far, with the processes that it started."""
    pids = {part: platform.pid(part) for part in (*SERVERS, *LOADING)}
    return {part: sum(map(_seconds_of, process_tree(pid))) for part, pid in pids.items() if pid}


def _seconds_of(pid: int) -> float:
    # One that has ended since it was listed is in the time of its parent.
    with suppress(OSError):
        return cpu_seconds(pid)
    return 0.0


def sample_stream(redis_url: str, seconds: float) -> list[Sample]:
    """State of the stream, once a second."""
    samples = []
    begin = monotonic()
    with redis.Redis.from_url(redis_url) as client:
        while (at := monotonic()) - begin < seconds:
            stats = read_stats_blocking(client)
            waiting = stats.lag_event_count
            samples.append(Sample(at, waiting, stats.accepted_event_count - waiting))
            sleep(1.0)
    return samples


def committed_rate(samples: Sequence[Sample]) -> float:
    """Events per second that were committed from the end of the first third on."""
    first, last = samples[len(samples) // 3], samples[-1]
    return (last.settled_events - first.settled_events) / (last.at - first.at)


def thirds(samples: Sequence[Sample]) -> tuple[float, float]:
    """Mean number of events that wait in the middle and in the last third."""
    third = len(samples) // 3
    waiting = [sample.waiting_events for sample in samples]
    return fmean(waiting[third : 2 * third]), fmean(waiting[2 * third :])
