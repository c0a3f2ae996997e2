"""The bounded queue between the application's threads and the sender."""

from __future__ import annotations

import threading
import time
from collections import deque

from llmscope._options import Draft


class EventQueue:
    """Safe for threads; `put` never waits for the network or the disk.

    Args:
        max_size: Events that it holds.
        flush_at: So many wake the sender.
        interval_seconds: The longest that the oldest waits.
        drops_oldest: Whether a full queue loses its oldest event instead of the new one.
    """

    def __init__(
        self, max_size: int, flush_at: int, interval_seconds: float, drops_oldest: bool
    ) -> None:
        self._events: deque[Draft] = deque()
        self._max_size = max_size
        self._flush_at = min(flush_at, max_size)
        self._interval_seconds = interval_seconds
        self._drops_oldest = drops_oldest
        # Reentrant: a finalizer may record on a thread that is just recording.
        self._changed = threading.Condition(threading.RLock())
        self._oldest_at = 0.0
        self._is_urgent = False
        self.is_closed = False

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Draft) -> bool:
        """Add an event; whether every event that was in still is, and this one too."""
        with self._changed:
            is_full = len(self._events) >= self._max_size
            if self.is_closed or (is_full and not self._drops_oldest):
                return False
            if is_full:
                self._events.popleft()
            self._events.append(event)
            count = len(self._events)
            if count == 1:
                self._oldest_at = time.monotonic()
            if count in (1, self._flush_at):
                self._changed.notify_all()
            return not is_full

    def take(self, count: int) -> list[Draft]:
        """Up to `count` of the oldest events."""
        with self._changed:
            taken = [self._events.popleft() for _ in range(min(count, len(self._events)))]
            self._oldest_at = time.monotonic()
            return taken

    def hurry(self) -> None:
        """End the sender's wait."""
        with self._changed:
            self._is_urgent = True
            self._changed.notify_all()

    def close(self) -> None:
        """Take no more events, and end the sender's wait."""
        self.is_closed = True
        self.hurry()

    def wait(self, wake_at: float | None, heeds_events: bool) -> None:
        """Return once a batch is due, somebody is in a hurry, or at `wake_at` (monotonic)."""
        with self._changed:
            while not self._is_urgent and not (
                heeds_events and len(self._events) >= self._flush_at
            ):
                times = [at for at in (wake_at, self._due_at() if heeds_events else None) if at]
                pause = min(times) - time.monotonic() if times else None
                if pause is not None and pause <= 0:
                    break
                self._changed.wait(pause)
            self._is_urgent = False

    def _due_at(self) -> float | None:
        return self._oldest_at + self._interval_seconds if self._events else None
