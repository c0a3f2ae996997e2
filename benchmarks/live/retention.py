"""What it costs to keep loaded entries: time of the loader's acknowledgement, memory of Redis."""

from collections.abc import Iterator
from statistics import median
from time import perf_counter
from typing import Final, NamedTuple

import redis

from benchmarks.ingest.bodies import make_bodies
from benchmarks.ingest.figures import Figure, below
from ingest_api.stream import NOTHING_KEPT, STREAM, EventStreamReader, Retention
from orchestration.settings import OrchestrationSettings

BATCH_EVENTS: Final = 100
# About what a commit of the loader holds at 30,000 events/s.
COMMIT_ENTRIES: Final = 64
# Three times what is kept, so that most rounds have as much to give up as comes.
COMMITS: Final = 80
MOST_RATIO: Final = 1.5
MEBIBYTE: Final = 1024**2


class Cost(NamedTuple):
    """What one way of keeping costs.

    Attributes:
        commit_seconds: Reading and acknowledging of each commit.
        memory_bytes: What Redis used at the end.
    """

    commit_seconds: list[float]
    memory_bytes: int


def defaults() -> Retention:
    """What is kept where nothing is configured."""
    fields = OrchestrationSettings.model_fields
    seconds, size = fields["stream_retention_seconds"], fields["stream_retention_bytes"]
    return Retention(seconds.default, size.default)


def measure(redis_url: str) -> Iterator[Figure]:
    """Nothing kept against the defaults."""
    (body,) = make_bodies(1, BATCH_EVENTS)
    bare, kept = (_load(redis_url, body, one) for one in (NOTHING_KEPT, defaults()))
    ratio = median(kept.commit_seconds) / median(bare.commit_seconds)
    events = COMMIT_ENTRIES * BATCH_EVENTS
    name = f"a commit of {events:,} events with loaded ones kept"
    yield below(f"{name}: ratio of reading and acknowledging", ratio, MOST_RATIO, "")
    microseconds = 1e6 * median(kept.commit_seconds) / events
    yield Figure(f"{name}: time an event", f"{microseconds:.2f} us")
    memory = (kept.memory_bytes - bare.memory_bytes) / MEBIBYTE
    limit = defaults().max_bytes / MEBIBYTE
    yield below(f"{name}: memory of Redis", memory, 1.25 * limit, "MiB")


def _load(redis_url: str, body: bytes, retention: Retention) -> Cost:
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
        reader = EventStreamReader(client, "bench", retention=retention)
        reader.open()
        seconds = []
        for _ in range(COMMITS):
            with client.pipeline(transaction=False) as pipeline:
                for _ in range(COMMIT_ENTRIES):
                    pipeline.xadd(STREAM, {"event_count": BATCH_EVENTS, "events": body})
                pipeline.execute()
            begin = perf_counter()
            reader.acknowledge(reader.read_new(COMMIT_ENTRIES, 0))
            seconds.append(perf_counter() - begin)
        memory: int = client.info("memory")["used_memory"]
        client.flushdb()
    return Cost(seconds, memory)
