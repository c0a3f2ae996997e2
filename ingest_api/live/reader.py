"""One reader for all clients of a shard: each entry is read, decoded and encoded once."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from ingest_api.events import Event
from ingest_api.live import messages
from ingest_api.live.clients import Client
from ingest_api.live.entries import FeedEntry, FeedEvent, project_of, read_entry
from ingest_api.live.filters import Filters, matcher
from ingest_api.live.messages import MAX_BATCH_BYTES, Batch, Estimate, Message, event_message
from ingest_api.live.positions import Position, now_position, second_before
from ingest_api.middleware import describe
from ingest_api.stream import RawEntry, StreamError, StreamFollower

logger = logging.getLogger(__name__)

# Entries can have 1 MiB and more, so this bounds the memory of a read.
PAGE_ENTRIES: Final = 32
# Shorter than a client of Redis waits for an answer.
BLOCK_SECONDS: Final = 2.0
# Reads this far apart: 200 clients at 500 events/s would otherwise be 100,000 sends a second.
PACE_SECONDS: Final = 0.02
# Decoding and encoding so many events takes 2 ms; then others have their turn, and clients take
# what they were handed before there is more.
EVENTS_PER_TURN: Final = 100
TURN_SECONDS: Final = 0.002
MAX_PAUSE_SECONDS: Final = 2.0

EstimateCost = Callable[[Event, UUID, UUID], Estimate]


class Topic:
    """Clients that want the same events."""

    def __init__(self, filters: Filters) -> None:
        self.clients: set[Client] = set()
        self._matches = matcher(filters)
        self._waiting: list[Message] = []

    def wants(self, event: Event) -> bool:
        """Whether its clients want the event."""
        return self._matches is None or self._matches(event)

    def add(self, message: Message) -> None:
        """Let the clients have a message at the next `flush`."""
        self._waiting.append(message)

    def flush(self) -> None:
        """Hand over what waits."""
        if not self._waiting:
            return
        batches, self._waiting = messages.split(self._waiting), []
        for client in self.clients:
            for batch in batches:
                client.push(batch)


class ShardReader:
    """Reads a shard while somebody listens, and hands each client what it wants.

    Attributes:
        position: Up to where the clients have everything.
        mark: A position up to where nothing is missing, to be told to idle clients.
    """

    def __init__(
        self, follower: StreamFollower, estimate: EstimateCost, on_error: Callable[[], None]
    ) -> None:
        self.follower = follower
        self.estimate = estimate
        self.on_error = on_error
        self.position = self.mark = Position(0, 0)
        self._topics: dict[UUID, dict[Filters, Topic]] = {}
        self._holder_count = self._turn_events = self._turn_bytes = 0
        self._task: asyncio.Task[None] | None = None

    def hold(self, position: Position) -> None:
        """Read as long as somebody holds the reader; the first one says from where on."""
        self._holder_count += 1
        self._start(position)

    def release(self) -> None:
        """Hold it no longer."""
        self._holder_count -= 1
        if not self._holder_count:
            self.close()

    def attach(self, client: Client) -> None:
        """Hand a client what is read from now on."""
        self._start(client.position)
        topics = self._topics.setdefault(client.key.project_id, {})
        topics.setdefault(client.filters, Topic(client.filters)).clients.add(client)

    def detach(self, client: Client) -> None:
        """Forget a client, where it was attached."""
        topics = self._topics.get(client.key.project_id, {})
        topic = topics.get(client.filters)
        if topic is None:
            return
        topic.clients.discard(client)
        if not topic.clients:
            del topics[client.filters]
        if not topics:
            del self._topics[client.key.project_id]

    def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _start(self, position: Position) -> None:
        if self._task is None:
            self.position = self.mark = position
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        """A reader that failed takes its clients with it: they come back to a new one."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("the live feed failed: %s", describe(error))
            self._task = None
            for client in self._clients():
                client.end()

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                if failures:
                    await self._look_for_loss()
                await self._read()
                failures = 0
            except StreamError as error:
                failures += 1
                self.on_error()
                logger.warning("the live feed waits for Redis: %s", error)
                await asyncio.sleep(min(MAX_PAUSE_SECONDS, 0.1 * 2**failures))

    async def _read(self) -> None:
        entry_id = self.position.entry_id
        entries = await self.follower.read_after(entry_id, PAGE_ENTRIES, BLOCK_SECONDS)
        if not entries:
            await self._set_mark()
            return
        await self._publish(entries)
        self.mark = max(self.mark, second_before(self.position))
        if len(entries) == PAGE_ENTRIES:
            await self._look_for_loss()
        else:
            await asyncio.sleep(PACE_SECONDS)

    async def _set_mark(self) -> None:
        tail = await self.follower.tail()
        if Position.of_entry(tail.last_id) <= self.position:
            self.mark = now_position(tail.last_id, tail.now_milliseconds)

    async def _look_for_loss(self) -> None:
        """Tell the clients where the stream has been trimmed, or lost, under the reader."""
        tail = await self.follower.tail()
        is_ahead = self.position > now_position(tail.last_id, tail.now_milliseconds)
        if not is_ahead and not self.position.may_miss(tail.oldest_id):
            return
        logger.warning("the live feed has missed events: it was behind what the stream keeps")
        gap = messages.gap(self.position, tail.oldest_id)
        for client in self._clients():
            client.tell(gap)
        if is_ahead:
            self.position = self.mark = Position.of_entry(tail.last_id)
        else:
            self.position = Position.before_entry(tail.oldest_id)

    def _clients(self) -> list[Client]:
        return [
            client
            for topics in self._topics.values()
            for topic in topics.values()
            for client in topic.clients
        ]

    async def _publish(self, entries: Sequence[RawEntry]) -> None:
        for raw in entries:
            await self._publish_entry(raw)
            self.position = Position.of_entry(raw.entry_id)
        self._flush()

    async def _publish_entry(self, raw: RawEntry) -> None:
        project_id = project_of(raw.fields)
        entry = read_entry(raw) if project_id in self._topics else None
        if entry is None:
            return
        for event in entry.events:
            self._sort(entry, event)
            self.position = event.position
            self._turn_events += 1
            if self._turn_events >= EVENTS_PER_TURN or self._turn_bytes >= MAX_BATCH_BYTES:
                # A client that joins meanwhile begins behind this event.
                self._flush()
                await asyncio.sleep(TURN_SECONDS)

    def _sort(self, entry: FeedEntry, event: FeedEvent) -> None:
        """Let each topic have an event that it wants."""
        topics = self._topics.get(entry.project_id, {}).values()
        wanting = [topic for topic in topics if topic.wants(event.event)]
        if wanting:
            message = encode(entry, event, self.estimate)
            self._turn_bytes += len(message.text)
            for topic in wanting:
                topic.add(message)

    def _flush(self) -> None:
        self._turn_events = self._turn_bytes = 0
        for topics in self._topics.values():
            for topic in topics.values():
                topic.flush()


def encode(entry: FeedEntry, event: FeedEvent, estimate: EstimateCost) -> Message:
    """The message of one event of an entry."""
    cost = estimate(event.event, entry.tenant_id, entry.project_id)
    return event_message(event.position, event.event, entry.received_at, cost)


def replay_page(
    entries: Sequence[RawEntry],
    client: Client,
    after: Position,
    last: Position,
    estimate: EstimateCost,
) -> list[Batch]:
    """What a client wants of entries that others have had before: behind `after`, up to `last`."""
    matches = matcher(client.filters)
    found: list[Message] = []
    for raw in entries:
        is_own = project_of(raw.fields) == client.key.project_id
        entry = read_entry(raw) if is_own else None
        if entry is not None:
            found += [
                encode(entry, event, estimate)
                for event in entry.events
                if after < event.position <= last and (not matches or matches(event.event))
            ]
    return messages.split(found)
