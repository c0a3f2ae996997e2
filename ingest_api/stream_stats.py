"""How much waits in the stream, and how fast it is accepted and loaded."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ingest_api.stream_connection import AsyncClient, BlockingClient
from ingest_api.stream_layout import GROUP, REDIS_ERRORS, StreamError, in_words, shard_keys
from ingest_api.stream_scripts import STATS

# A loader that has not been heard of for this long is called dead: a tick starts every 5 s.
LOADER_SILENCE_SECONDS: Final = 60
# Rates are the mean of so many whole seconds.
RATE_SECONDS: Final = 10


@dataclass(frozen=True)
class StreamStats:
    """State of the stream.

    Attributes:
        entry_count: Entries in the stream, with those that are settled and kept for a while.
        accepted_event_count: Events accepted since the stream was created.
        lag_event_count: Events accepted and not yet settled: loaded or dead-lettered.
        in_flight_entry_count: Entries a loader has read and not yet acknowledged.
        oldest_unloaded_seconds: Age of the oldest entry not yet settled, 0 where none is.
        loader_seen_seconds: Seconds since a loader last looked, None where none ever did.
        lag_entry_count: Entries not yet settled.
        accepted_events_per_second: Mean of the last 10 s.
        loaded_events_per_second: Mean of the last 10 s; events settled.
        used_memory_bytes: Memory that Redis uses, for everything.
    """

    entry_count: int
    accepted_event_count: int
    lag_event_count: int
    in_flight_entry_count: int
    oldest_unloaded_seconds: float
    loader_seen_seconds: float | None
    lag_entry_count: int = 0
    accepted_events_per_second: float = 0.0
    loaded_events_per_second: float = 0.0
    used_memory_bytes: int = 0

    @property
    def is_loader_alive(self) -> bool:
        """Whether a loader has looked at every shard within the last minute."""
        seen = self.loader_seen_seconds
        return seen is not None and seen < LOADER_SILENCE_SECONDS

    @property
    def lag_seconds(self) -> float:
        """How far loading is behind accepting."""
        return self.oldest_unloaded_seconds


async def read_stats(client: AsyncClient, shards: int = 1) -> StreamStats:
    """State of all shards together.

    Raises:
        StreamError: Redis does not answer.
    """
    keys = [shard_keys(shard) for shard in range(shards)]
    try:
        answers = await asyncio.gather(*(client.eval(STATS, len(k), *k, GROUP) for k in keys))
    except REDIS_ERRORS as error:
        raise StreamError(in_words(error)) from error
    return add_up([parse_stats(answer) for answer in answers])


def read_stats_blocking(client: BlockingClient, shards: int = 1) -> StreamStats:
    """State of all shards together, for those without asyncio.

    Raises:
        StreamError: Redis does not answer.
    """
    keys = [shard_keys(shard) for shard in range(shards)]
    try:
        answers = [client.eval(STATS, len(k), *k, GROUP) for k in keys]
    except REDIS_ERRORS as error:
        raise StreamError(in_words(error)) from error
    return add_up([parse_stats(answer) for answer in answers])


def parse_stats(answer: Any) -> StreamStats:
    """The answer of the script `STATS` for one shard."""
    length, accepted, settled, pending, unsettled, oldest, seen, rates, now_text, memory = answer
    now = float(now_text)
    return StreamStats(
        entry_count=length,
        accepted_event_count=int(accepted or 0),
        lag_event_count=max(0, int(accepted or 0) - int(settled or 0)),
        in_flight_entry_count=pending,
        oldest_unloaded_seconds=_age(now, int(oldest.split(b"-")[0]) / 1000) if oldest else 0.0,
        loader_seen_seconds=None if seen is None else _age(now, float(seen)),
        lag_entry_count=unsettled,
        accepted_events_per_second=_rate(rates, b"accepted", int(now)),
        loaded_events_per_second=_rate(rates, b"settled", int(now)),
        used_memory_bytes=memory,
    )


def _age(now: float, then: float) -> float:
    return max(0.0, now - then)


def _rate(flat: Sequence[bytes], kind: bytes, now_second: int) -> float:
    """Events per second over the whole seconds before this one, from the ring in Redis."""
    total = 0
    for slot, value in zip(flat[::2], flat[1::2], strict=True):
        second, _, count = value.partition(b":")
        if slot.startswith(kind) and 0 < now_second - int(second) <= RATE_SECONDS:
            total += int(count)
    return total / RATE_SECONDS


def add_up(shards: Sequence[StreamStats]) -> StreamStats:
    """Sums over shards; of ages the greatest, for the slowest shard is what is to be mended."""
    seen = [one.loader_seen_seconds for one in shards]
    return StreamStats(
        entry_count=sum(one.entry_count for one in shards),
        accepted_event_count=sum(one.accepted_event_count for one in shards),
        lag_event_count=sum(one.lag_event_count for one in shards),
        in_flight_entry_count=sum(one.in_flight_entry_count for one in shards),
        oldest_unloaded_seconds=max(one.oldest_unloaded_seconds for one in shards),
        loader_seen_seconds=None if None in seen else max(s for s in seen if s is not None),
        lag_entry_count=sum(one.lag_entry_count for one in shards),
        accepted_events_per_second=sum(one.accepted_events_per_second for one in shards),
        loaded_events_per_second=sum(one.loaded_events_per_second for one in shards),
        # Shards share a Redis, or lie on several: the fullest one counts.
        used_memory_bytes=max(one.used_memory_bytes for one in shards),
    )
