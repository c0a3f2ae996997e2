"""Names and forms of what lies in Redis, and the errors of those who touch it. See `stream`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID
from zlib import crc32

from redis.exceptions import RedisClusterException, RedisError

GROUP: Final = "loader"
# All that a client of Redis raises: the errors of a cluster have a root of their own.
REDIS_ERRORS: Final = (RedisError, RedisClusterException, OSError)
MAX_SHARDS: Final = 64
# Head, id and the stream's own bookkeeping of an entry.
ENTRY_OVERHEAD_BYTES: Final = 250


class StreamError(Exception):
    """Redis did not take or give the events; nothing was acknowledged."""


class StreamFullError(StreamError):
    """The stream is above its cap on entries, or Redis above its cap on memory."""


class Source(NamedTuple):
    """Whose events an entry carries."""

    tenant_id: UUID
    project_id: UUID
    api_key_id: UUID | None


class Entry(NamedTuple):
    """What is written as one entry. `events` is a JSON array of `event_count` events."""

    source: Source
    received_at: datetime
    events: bytes
    event_count: int

    def values(self) -> tuple[str | int | bytes, ...]:
        """Values in the order that the script `APPEND` names them."""
        source = self.source
        return (
            str(source.tenant_id),
            str(source.project_id),
            str(source.api_key_id or ""),
            self.received_at.isoformat(),
            self.event_count,
            self.events,
        )


class Retention(NamedTuple):
    """How long settled entries stay for readers behind the loader, and up to how many bytes.

    Zero seconds keep nothing.
    """

    seconds: float
    max_bytes: int


NOTHING_KEPT: Final = Retention(0.0, 0)


class RawEntry(NamedTuple):
    """An entry as it lies in the stream; its fields are not yet checked."""

    entry_id: str
    fields: Mapping[bytes, bytes]

    @property
    def event_count(self) -> int:
        """How many events were counted as accepted; 0 for an entry that the API did not write."""
        text = self.fields.get(b"event_count", b"")
        return int(text) if text.isdigit() else 0

    @property
    def memory_bytes(self) -> int:
        """About what Redis needs for it."""
        return self.byte_count + ENTRY_OVERHEAD_BYTES

    @property
    def byte_count(self) -> int:
        """Size of its events."""
        return len(self.fields.get(b"events", b""))


def stream_key(shard: int) -> str:
    """The stream of a shard. The braces put all keys of a shard into one slot of Redis Cluster."""
    return f"llmscope:{{events:{shard}}}"


def shard_keys(shard: int) -> Sequence[str]:
    """The keys that every script is given: stream, counters, heartbeat of the loader, rates, and
    what is kept though it is settled.
    """
    stream = stream_key(shard)
    return (
        stream,
        f"{stream}:counters",
        f"{stream}:loader_seen_at",
        f"{stream}:rates",
        f"{stream}:kept",
    )


def shard_of(project_id: UUID, shards: int) -> int:
    """The shard of a project: the same in every process and for ever, while `shards` is."""
    return crc32(project_id.bytes) % shards if shards > 1 else 0


def raw_entry(entry: Any) -> RawEntry:
    """An entry as the client of Redis gives it."""
    entry_id, fields = entry
    return RawEntry(entry_id.decode(), fields or {})


def entries_of(answer: Any) -> list[Any]:
    """The entries of the one stream that was read, in RESP2's or RESP3's form."""
    if not answer:
        return []
    if isinstance(answer, dict):
        return [entry for pages in answer.values() for page in pages for entry in page]
    return list(answer[0][1])


STREAM, COUNTERS, LOADER_HEARTBEAT, RATES, KEPT = shard_keys(0)


def in_words(error: Exception) -> str:
    """Redis' own words, which never carry an event."""
    return f"{type(error).__name__}: {str(error)[:200]}"
