"""One client's place in the feed: a bounded buffer between the reader and its connection."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic

from ingest_api.auth import ApiKey
from ingest_api.live import messages
from ingest_api.live.filters import Filters
from ingest_api.live.messages import Batch
from ingest_api.live.positions import Position

Send = Callable[[Batch], Awaitable[None]]


class Client:
    """What waits for one connection. Whoever fills it never waits.

    Attributes:
        position: Up to where the client has been handed everything it wants.
        sending_since: When the send under way began, None where none is.
        is_live: Whether it gets what the reader reads; before, it is sent what it missed.
        is_ended: Whether nothing more will be pushed.
        on_stop: What closes its connection.
    """

    def __init__(
        self,
        key: ApiKey,
        filters: Filters,
        position: Position,
        max_bytes: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.key = key
        self.filters = filters
        self.position = position
        self.max_bytes = max_bytes
        self.clock = clock
        self.sending_since: float | None = None
        self.last_sent_at = clock()
        self.dropped_event_count = 0
        self.is_live = False
        self.is_ended = False
        self.is_stopped = False
        self.close_code = 1012
        self.on_stop: Callable[[], object] = lambda: None
        self._batches: deque[Batch] = deque()
        self._byte_count = 0
        self._unreported_count = 0
        self._skip_through: Position | None = None
        self._wake = asyncio.Event()

    @property
    def is_idle(self) -> bool:
        """Whether it listens and has been handed all there is."""
        return self.is_live and not self._batches and self.sending_since is None

    def begin_behind(self, position: Position) -> None:
        """From now on batches are pushed; it has had what lies up to `position`."""
        self.position = self._skip_through = position
        self.is_live = True

    def push(self, batch: Batch) -> None:
        """Let it have a batch of events; where it is too slow, its oldest ones are dropped."""
        if self._skip_through is not None:
            left = batch.after(self._skip_through)
            if left is None:
                return
            batch, self._skip_through = left, None
        self.tell(batch)
        while self._byte_count > self.max_bytes and len(self._batches) > 1:
            gone = self._batches.popleft()
            self._byte_count -= gone.byte_count
            self._unreported_count += gone.event_count
            self.dropped_event_count += gone.event_count

    def tell(self, batch: Batch) -> None:
        """Let it have a batch, whatever its buffer holds."""
        if self.is_ended:
            return
        self._batches.append(batch)
        self._byte_count += batch.byte_count
        self._wake.set()

    def end(self, last: Batch | None = None, close_code: int = 1012) -> None:
        """Let it have `last` and nothing more; 1012 tells a WebSocket to come back."""
        if self.is_ended:
            return
        self.close_code = close_code
        self._batches.clear()
        self._byte_count = self._unreported_count = 0
        if last is not None:
            self.tell(last)
        self.is_ended = True
        self._wake.set()

    def stop(self) -> None:
        """Have its connection closed at once, whatever it is doing."""
        self.is_stopped = True
        self.on_stop()

    async def take(self) -> Batch | None:
        """What is to be sent next; None at the end."""
        while not self._batches:
            if self.is_ended:
                return None
            self._wake.clear()
            await self._wake.wait()
        if self._unreported_count:
            # `position` lies before the gap: the client may resume there.
            count, self._unreported_count = self._unreported_count, 0
            return messages.dropped(count, self.position)
        batch = self._batches.popleft()
        self._byte_count -= batch.byte_count
        return batch

    async def hand_over(self, batch: Batch, send: Send) -> None:
        """Send one batch and note how long that takes."""
        self.sending_since = self.clock()
        await send(batch)
        self.last_sent_at = self.clock()
        self.sending_since = None
        if batch.last is not None:
            self.position = batch.last
