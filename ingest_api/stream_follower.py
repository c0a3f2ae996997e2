"""Reading the stream beside the loader: nothing is acknowledged, nothing is kept for the reader."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ingest_api.stream_connection import AsyncClient
from ingest_api.stream_layout import (
    REDIS_ERRORS,
    RawEntry,
    StreamError,
    entries_of,
    in_words,
    raw_entry,
    shard_keys,
    stream_key,
)
from ingest_api.stream_scripts import TAIL

# A connection that was lied to answers in any form.
_ODD_ANSWERS: Final = (TypeError, ValueError, IndexError, AttributeError)


class Tail(NamedTuple):
    """Where a stream begins and ends.

    Attributes:
        last_id: The newest entry that the stream ever had.
        oldest_id: Entries before this one are gone.
        now_milliseconds: Redis' clock, which makes the ids of entries.
    """

    last_id: str
    oldest_id: str
    now_milliseconds: int


@dataclass(frozen=True)
class StreamFollower:
    """Reads one shard outside of any consumer group."""

    client: AsyncClient
    shard: int

    async def tail(self) -> Tail:
        """Where the stream begins and ends.

        Raises:
            StreamError: Redis does not answer.
        """
        keys = shard_keys(self.shard)
        try:
            last, oldest, now = await self.client.eval(TAIL, len(keys), *keys)
            return Tail(last.decode(), oldest.decode(), int(now))
        except (*REDIS_ERRORS, *_ODD_ANSWERS) as error:
            raise StreamError(in_words(error)) from error

    async def read_after(
        self, entry_id: str, max_entries: int, block_seconds: float
    ) -> list[RawEntry]:
        """Entries behind `entry_id`; waits up to `block_seconds` for the first.

        Raises:
            StreamError: Redis does not answer.
        """
        block = int(block_seconds * 1000)
        streams: dict[Any, Any] = {stream_key(self.shard): entry_id}
        try:
            answer = await self.client.xread(streams, count=max_entries, block=block)
            return [raw_entry(entry) for entry in entries_of(answer)]
        except (*REDIS_ERRORS, *_ODD_ANSWERS) as error:
            raise StreamError(in_words(error)) from error

    async def read_range(self, first: str, last: str, max_entries: int) -> list[RawEntry]:
        """Entries from `first` up to `last`, both included.

        Raises:
            StreamError: Redis does not answer.
        """
        try:
            answer: Any = await self.client.xrange(
                stream_key(self.shard), first, last, count=max_entries
            )
            return [raw_entry(entry) for entry in answer]
        except (*REDIS_ERRORS, *_ODD_ANSWERS) as error:
            raise StreamError(in_words(error)) from error
