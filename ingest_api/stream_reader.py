"""Reading events as a member of the loader's consumer group."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from ingest_api.stream_connection import BlockingClient
from ingest_api.stream_layout import (
    GROUP,
    NOTHING_KEPT,
    RawEntry,
    Retention,
    entries_of,
    raw_entry,
    shard_keys,
    stream_key,
)
from ingest_api.stream_scripts import ACKNOWLEDGE, ENTER, LEAVE, STATS
from ingest_api.stream_stats import StreamStats, parse_stats

# A consumer that holds nothing and was silent for this long is taken out of the group.
CONSUMER_SILENCE: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class EventStreamReader:
    """A member of the loader's consumer group, named `consumer`, on one shard.

    Two processes that read at the same time must have different names.

    Attributes:
        retention: How long settled entries stay in the stream.
    """

    client: BlockingClient
    consumer: str
    shard: int = 0
    retention: Retention = NOTHING_KEPT

    @property
    def key(self) -> str:
        """The stream of the shard."""
        return stream_key(self.shard)

    def open(self) -> None:
        """Create stream and group where they are missing, and tell the API that a loader is here.

        Consumers that have gone, and hold nothing, leave the group. What was kept long enough goes.
        """
        milliseconds = int(CONSUMER_SILENCE.total_seconds() * 1000)
        self._evaluate(ENTER, GROUP, self.consumer, milliseconds, *self._retained())

    def leave(self) -> None:
        """Take this consumer out of the group, unless it still holds entries."""
        self._evaluate(LEAVE, GROUP, self.consumer)

    def read_unfinished(self, max_entries: int, after: str = "0") -> list[RawEntry]:
        """What this consumer read before and never acknowledged: it died in between.

        Begins behind the entry `after`.
        """
        return self._read(after, max_entries, None)

    def read_new(self, max_entries: int, block_seconds: float) -> list[RawEntry]:
        """Entries nobody has read yet; waits up to `block_seconds` for the first, 0 for none."""
        block = max(1, int(block_seconds * 1000)) if block_seconds > 0 else None
        return self._read(">", max_entries, block)

    def claim_abandoned(self, max_entries: int, min_idle_seconds: float) -> list[RawEntry]:
        """Entries that another consumer read and left unacknowledged for `min_idle_seconds`."""
        answer: Any = self.client.xautoclaim(
            self.key,
            GROUP,
            self.consumer,
            int(min_idle_seconds * 1000),
            "0-0",
            count=max_entries,
        )
        return [raw_entry(entry) for entry in answer[1]]

    def acknowledge(self, entries: Sequence[RawEntry]) -> int:
        """Settle entries that are committed, and trim what no group needs and was kept long enough.

        Returns:
            Events that were settled by this call; those of an entry that another consumer has
            settled meanwhile are not among them.
        """
        values = [
            value
            for entry in entries
            for value in (entry.entry_id, entry.event_count, entry.memory_bytes)
        ]
        settled: int = self._evaluate(ACKNOWLEDGE, GROUP, *self._retained(), *values)
        return settled

    def stats(self) -> StreamStats:
        """State of the shard."""
        return parse_stats(self._evaluate(STATS, GROUP))

    def _retained(self) -> tuple[int, int]:
        return int(self.retention.seconds * 1000), self.retention.max_bytes

    def _evaluate(self, script: str, *arguments: str | int) -> Any:
        keys = shard_keys(self.shard)
        return self.client.eval(script, len(keys), *keys, *map(str, arguments))

    def _read(self, start: str, max_entries: int, block: int | None) -> list[RawEntry]:
        answer: Any = self.client.xreadgroup(
            GROUP, self.consumer, {self.key: start}, count=max_entries, block=block
        )
        return [raw_entry(entry) for entry in entries_of(answer)]
