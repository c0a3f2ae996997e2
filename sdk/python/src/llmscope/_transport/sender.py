"""The background thread: takes batches from the queue and brings each event to an end.

An event ends delivered, on disk for the next start, or counted as lost. While the server is away
everything waits on disk, or in the queue where there is no disk. What waits longest goes first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Callable

from llmscope._losses import Losses
from llmscope._options import MAX_BATCH_EVENTS, Draft, Options
from llmscope._transport.backoff import Backoff
from llmscope._transport.lines import Line, UnsendableError, batches, body_of, line_of
from llmscope._transport.queue import EventQueue
from llmscope._transport.spool import Segment, Spool, Stored
from llmscope._transport.verdicts import Answer, Verdict, judge

# A disk that failed may be mended.
SPOOL_RETRY_SECONDS = 60.0
# What the end of a process may cost beyond `shutdown_timeout_seconds`: 10,000 events are encoded
# and written in 0.3 s.
RESCUE_SECONDS = 2.0
Post = Callable[[bytes], Answer]


class Sender:
    """Everything but `run`, `rescue` and `wait_until_idle` happens on the thread that runs it.

    Args:
        spool: None where events wait in memory alone.
        post: One attempt; never raises.
    """

    def __init__(
        self,
        options: Options,
        queue: EventQueue,
        spool: Spool | None,
        losses: Losses,
        post: Post,
        backoff: Backoff,
    ) -> None:
        self._options = options
        self._queue = queue
        self._spool = spool
        self._losses = losses
        self._post = post
        self._backoff = backoff
        self._held: list[Line] = []
        self._failures = 0
        self._limited_failures = 0
        self._resume_at = 0.0
        self._spool_usable_at = 0.0
        # Left by another process, or this one before its restart.
        self._has_spooled = spool is not None
        self._worked = threading.Condition()
        self._is_working = True
        self._finish_by = 0.0
        # The main thread may store the rest at the end, while this one still waits for an answer.
        self._storing = threading.Lock()

    def run(self) -> None:
        """Work until the queue is closed, then finish within the shutdown's time."""
        while not self._queue.is_closed:
            # First of all: the first event starts this thread, and would go alone.
            self._queue.wait(self._wake_at(), not self._is_away() or self._can_spool())
            if not self._queue.is_closed:
                self._is_working = True
                self._guarded(self.work)
                self._note_rest()
        self._is_working = True
        self._guarded(self._finish)
        self._note_rest()

    def _guarded(self, step: Callable[[], None]) -> None:
        """A fault of ours may cost a batch, never the thread."""
        try:
            step()
        except Exception as error:
            self._losses.fail(error)
            self._failures += 1
            verdict = Verdict(is_limited=True, detail=repr(error))
            self._held = self._again(self._held, verdict, None) if self._held else []
            self._pause(None)

    def work(self) -> None:
        """Send what waits; in an outage, put it on disk."""
        if not self._is_away() and self._send_spooled() and self._send_queued():
            return
        while self._can_spool() and self._next():
            with self._storing:
                self._held = [] if self._stored(self._held) else self._held

    def close(self, seconds: float) -> None:
        """Let `run` end within so many seconds; `rescue` stores what is left."""
        self._finish_by = time.monotonic() + seconds
        self._queue.close()

    def wait_until_idle(self, seconds: float) -> bool:
        """Whether everything was delivered within `seconds`."""
        self._queue.hurry()
        with self._worked:
            return self._worked.wait_for(self._is_idle, seconds)

    def rescue(self) -> None:
        """Store what the thread did not get done in time; from the main thread, at the end."""
        if not self._storing.acquire(timeout=RESCUE_SECONDS):
            # The redaction hangs, or the disk.
            self._count_cut_off(len(self._queue))
            return
        try:
            rest = [*self._held, *self._last_lines(time.monotonic() + RESCUE_SECONDS)]
            self._held = []
            for batch in batches(rest, MAX_BATCH_EVENTS, self._options.max_batch_bytes):
                if not self._stored(batch):
                    self._count_cut_off(len(batch))
            if self._spool is not None:
                self._spool.close()
        finally:
            self._storing.release()

    def _last_lines(self, end_at: float) -> Iterator[Line]:
        """What waits, as far as it is redacted and encoded in time."""
        drafts = self._queue.take(len(self._queue))
        for number, draft in enumerate(drafts):
            if time.monotonic() > end_at:
                self._count_cut_off(len(drafts) - number)
                return
            line = self._line(draft)
            if line is not None:
                yield line

    def _count_cut_off(self, count: int) -> None:
        if count:
            self._losses.count("shutdown", "the process ended before they were sent", count)

    def _finish(self) -> None:
        """Send the rest; what cannot be sent is left to `rescue`."""
        while time.monotonic() < self._finish_by:
            if not self._is_away() and self._send_queued():
                return
            if self._can_spool() or self._resume_at > self._finish_by:
                return
            time.sleep(max(self._resume_at - time.monotonic(), 0.0))

    def _is_away(self) -> bool:
        return time.monotonic() < self._resume_at

    def _can_spool(self) -> bool:
        return self._spool is not None and time.monotonic() >= self._spool_usable_at

    def _wake_at(self) -> float | None:
        return self._resume_at if self._is_away() or self._has_rest() else None

    def _has_rest(self) -> bool:
        return bool(self._held) or self._has_spooled

    def _is_idle(self) -> bool:
        return not (self._is_working or self._has_rest() or len(self._queue))

    def _note_rest(self) -> None:
        with self._worked:
            self._is_working = False
            self._worked.notify_all()

    def _send_spooled(self) -> bool:
        """Whether everything on disk that nobody else holds is settled."""
        if self._spool is None or not self._has_spooled:
            return True
        for segment, lines in self._spool.segments():
            rest = self._send(lines)
            if len(rest) < len(lines) or not lines:
                self._keep_only(segment, rest)
            if rest or self._queue.is_closed:
                return False
        self._has_spooled = False
        return True

    def _keep_only(self, segment: Segment, rest: Sequence[Line]) -> None:
        try:
            segment.replace(rest)
        except OSError as error:
            # What was settled is sent again with the rest, and is one row all the same.
            self._report_unusable(f"{type(error).__name__}: {error}")

    def _send_queued(self) -> bool:
        """Whether everything in memory is settled."""
        while self._next():
            self._held = self._send(self._held)
            if self._held:
                return False
        return True

    def _next(self) -> bool:
        """Whether `_held` has lines: those it had, or the next of the queue.

        They are held while they are under way, so that `rescue` finds them.
        """
        with self._storing:
            while not self._held and len(self._queue):
                self._held = list(self._lines(self._queue.take(self._options.flush_at)))
            return bool(self._held)

    def _lines(self, drafts: Sequence[Draft]) -> Iterator[Line]:
        for draft in drafts:
            line = self._line(draft)
            if line is not None:
                yield line

    def _line(self, draft: Draft) -> Line | None:
        try:
            return line_of(draft() if callable(draft) else draft, self._options.redact)
        except UnsendableError as error:
            self._losses.count(error.reason, str(error))
        except ValueError as error:
            self._losses.count("invalid", str(error))
        return None

    def _send(self, lines: Sequence[Line]) -> list[Line]:
        """The lines that are not settled: the first failure ends it."""
        parts = list(batches(lines, MAX_BATCH_EVENTS, self._options.max_batch_bytes))
        for number, batch in enumerate(parts):
            again = self._attempt(batch)
            if again:
                return again + [line for later in parts[number + 1 :] for line in later]
        return []

    def _attempt(self, batch: Sequence[Line]) -> list[Line]:
        answer = self._post(body_of(batch))
        verdict = judge(answer, [line.event_id for line in batch], time.time())
        if verdict.is_split:
            middle = len(batch) // 2
            again = self._attempt(batch[:middle])
            return [*again, *batch[middle:]] if again else self._attempt(batch[middle:])
        for detail in verdict.dropped.values():
            self._losses.count("rejected", detail)
        return self._again([batch[index] for index in verdict.again], verdict, answer.status)

    def _again(self, lines: list[Line], verdict: Verdict, status: int | None) -> list[Line]:
        if not lines:
            self._failures = self._limited_failures = 0
            return []
        self._failures += 1
        self._limited_failures += verdict.is_limited
        if self._limited_failures > self._options.max_retries:
            self._limited_failures = 0
            self._losses.count("retries_exhausted", verdict.detail, len(lines))
            return []
        if status in (401, 403):
            self._losses.hold("unauthorized", verdict.detail, status)
        self._pause(verdict.retry_after_seconds)
        return lines

    def _pause(self, retry_after_seconds: float | None) -> None:
        pause = self._backoff.pause_seconds(self._failures, retry_after_seconds)
        self._resume_at = time.monotonic() + pause

    def _stored(self, lines: Sequence[Line]) -> bool:
        """Whether nothing is left to do for them."""
        if self._spool is None or not self._can_spool():
            return False
        stored = self._spool.append(lines)
        if stored is Stored.UNUSABLE:
            self._spool_usable_at = time.monotonic() + SPOOL_RETRY_SECONDS
            self._report_unusable(self._spool.failure)
            return False
        if stored is Stored.FULL:
            detail = f"{self._spool.folder} holds max_spool_bytes"
            self._losses.count("spool_full", detail, len(lines))
        self._has_spooled = True
        return True

    def _report_unusable(self, failure: str) -> None:
        self._losses.hold("spool_unusable", f"{failure}: events wait in memory")
