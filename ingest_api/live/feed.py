"""The feed of one API process: who listens, from where, and what becomes of the slow."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from ingest_api.auth import ApiKey, KeyRing
from ingest_api.errors import Problem, UnauthorizedError, UnavailableError
from ingest_api.live import messages
from ingest_api.live.clients import Client, Send
from ingest_api.live.filters import Filters
from ingest_api.live.limits import FeedLimits
from ingest_api.live.messages import Batch
from ingest_api.live.positions import Position, now_position
from ingest_api.live.reader import PAGE_ENTRIES, EstimateCost, ShardReader, replay_page
from ingest_api.metrics import Metrics
from ingest_api.stream import AsyncClient, StreamError, StreamFollower, Tail, shard_of

# How often keys, heartbeats and stuck clients are looked after.
SWEEP_SECONDS: Final = 0.5
# Clients that come back together read their past in turns, so that the present goes on.
PARALLEL_REPLAYS: Final = 2
# A client that has been ended and takes not even the last message is closed after so long.
END_SECONDS: Final = 2.0
# RFC 6455, section 7.4.1.
POLICY_VIOLATION: Final = 1008


class Start(NamedTuple):
    """Where a client begins.

    Attributes:
        now: The end of the stream.
        is_resumed: Whether it named the place itself.
        gap: What to tell it of events that it may have missed.
    """

    position: Position
    now: Position
    is_resumed: bool
    gap: Batch | None


class LiveFeed:
    """All clients of this process and the readers that serve them."""

    def __init__(
        self,
        redis: AsyncClient,
        shards: int,
        keys: KeyRing,
        limits: FeedLimits,
        estimate: EstimateCost,
        metrics: Metrics,
    ) -> None:
        self.keys = keys
        self.limits = limits
        self.estimate = estimate
        self.metrics = metrics
        self.clients: set[Client] = set()
        self._readers = [
            ShardReader(StreamFollower(redis, shard), estimate, metrics.count_redis_error)
            for shard in range(shards)
        ]
        self._replays = asyncio.Semaphore(PARALLEL_REPLAYS)

    async def find_start(self, key: ApiKey, last: Position | None) -> Start:
        """Where a client begins that has seen everything up to `last`.

        Raises:
            UnavailableError: there are too many clients, or Redis does not answer.
        """
        if len(self.clients) >= self.limits.max_clients:
            raise UnavailableError(f"The live feed: {len(self.clients)} clients listen already")
        try:
            tail = await self._reader(key).follower.tail()
        except StreamError as error:
            self.metrics.count_redis_error()
            raise UnavailableError(f"The event buffer: {error}") from error
        return start_of(tail, last)

    @contextmanager
    def join(self, key: ApiKey, filters: Filters, start: Start) -> Iterator[Client]:
        """A client until the context ends."""
        client = Client(key, filters, start.position, self.limits.buffer_bytes)
        reader = self._reader(key)
        reader.hold(start.now)
        self.clients.add(client)
        self.metrics.count_live_clients(1)
        try:
            yield client
        finally:
            self.clients.discard(client)
            reader.detach(client)
            reader.release()
            self.metrics.count_live_clients(-1)
            self.metrics.count_live_dropped(client.dropped_event_count)

    async def serve(self, client: Client, start: Start, send: Send) -> None:
        """Send a client what it wants until it is ended."""
        async for batch in self._batches(client, start):
            await client.hand_over(batch, send)
            self.metrics.count_live_delivered(batch.event_count)

    async def _batches(self, client: Client, start: Start) -> AsyncIterator[Batch]:
        yield messages.ready(
            start.position,
            is_resumed=start.is_resumed,
            heartbeat_seconds=self.limits.heartbeat_seconds,
        )
        if start.gap is not None:
            yield start.gap
        try:
            async for batch in self._replay(client):
                yield batch
        except StreamError:
            # The client comes back and resumes where it was.
            return
        while (waiting := await client.take()) is not None:
            yield waiting

    async def _replay(self, client: Client) -> AsyncIterator[Batch]:
        """What the reader has passed already; then the client is attached to it."""
        reader, position = self._reader(client.key), client.position
        # Between the last look at the reader's position and `attach` nothing is awaited.
        while position < reader.position:
            async with self._replays:
                page, end = await self._read_page(client, position, reader.position)
            for batch in page:
                yield batch
            position = end
        client.begin_behind(max(position, client.position))
        reader.attach(client)

    async def _read_page(
        self, client: Client, after: Position, last: Position
    ) -> tuple[list[Batch], Position]:
        """What a client wants of the first entries between the two, and where those end."""
        follower = self._reader(client.key).follower
        entries = await follower.read_range(after.entry_id, last.entry_id, PAGE_ENTRIES)
        tail = await follower.tail()
        page = replay_page(entries, client, after, last, self.estimate)
        if after.may_miss(tail.oldest_id):
            page.insert(0, messages.gap(after, tail.oldest_id))
        is_full = len(entries) == PAGE_ENTRIES
        return page, Position.of_entry(entries[-1].entry_id) if is_full else last

    def _reader(self, key: ApiKey) -> ShardReader:
        return self._readers[shard_of(key.project_id, len(self._readers))]

    async def run(self, stop: asyncio.Event) -> None:
        """Look after the clients until `stop` is set, then end them all."""
        while not stop.is_set():
            self.sweep()
            try:
                await asyncio.wait_for(stop.wait(), SWEEP_SECONDS)
            except TimeoutError:
                continue
        self.end_all()
        for reader in self._readers:
            reader.close()

    def end_all(self) -> None:
        """End every client: the server stops, and they come back to another one."""
        for client in self.clients:
            client.end()

    def sweep(self) -> None:
        """End clients whose key is no longer good or that take nothing; tell idle ones so."""
        for client in tuple(self.clients):
            if not self.keys.is_valid(client.key, "read"):
                client.end(
                    end_message(UnauthorizedError(UnauthorizedError.example)), POLICY_VIOLATION
                )
            self._look_after(client, client.clock())

    def _look_after(self, client: Client, now: float) -> None:
        patience = END_SECONDS if client.is_ended else self.limits.stall_seconds
        if client.sending_since is not None:
            if now - client.sending_since > patience:
                client.stop()
        elif client.is_idle and now - client.last_sent_at >= self.limits.heartbeat_seconds:
            mark = self._reader(client.key).mark
            client.tell(messages.heartbeat(max(mark, client.position)))


def start_of(tail: Tail, last: Position | None) -> Start:
    """Pure: where a client begins in a stream that ends at `tail`."""
    now = now_position(tail.last_id, tail.now_milliseconds)
    if last is None:
        return Start(now, now, is_resumed=False, gap=None)
    if last > now:
        # An id of another stream, or of one that has lost its end.
        return Start(now, now, is_resumed=False, gap=messages.gap(last, tail.last_id))
    if last.may_miss(tail.oldest_id):
        oldest = Position.before_entry(tail.oldest_id)
        return Start(oldest, now, is_resumed=True, gap=messages.gap(last, tail.oldest_id))
    return Start(last, now, is_resumed=True, gap=None)


def end_message(problem: Problem) -> Batch:
    """Why the server closes; the connection has an id of its own no more."""
    body = problem.body("")
    del body["request_id"]
    return messages.end(body)
