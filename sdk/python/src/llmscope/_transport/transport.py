"""Queue, thread, connection and spool of one process."""

from __future__ import annotations

import hashlib
import sys
import threading

from llmscope._losses import Losses
from llmscope._options import Draft, Options
from llmscope._transport import spool as spools
from llmscope._transport.backoff import DEFAULT_BACKOFF, Backoff
from llmscope._transport.delivery import Delivery
from llmscope._transport.queue import EventQueue
from llmscope._transport.sender import Sender
from llmscope._transport.spool import Spool


class Transport:
    """Brings events to the server. Safe for threads; belongs to one process, see `abandon`."""

    def __init__(
        self, options: Options, losses: Losses, backoff: Backoff = DEFAULT_BACKOFF
    ) -> None:
        self._options = options
        self._losses = losses
        self._queue = EventQueue(
            options.max_queue_size,
            options.flush_at,
            options.flush_interval_seconds,
            drops_oldest=options.when_full == "drop_oldest",
        )
        self._delivery = Delivery(options.url, options.api_key, options.timeout_seconds)
        self._spool = _spool_of(options, losses)
        self._sender = Sender(
            options, self._queue, self._spool, losses, self._delivery.post, backoff
        )
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def replay(self) -> None:
        """Send what an earlier process left on disk."""
        if self._options.is_enabled and self._spool is not None and not self._spool.is_empty():
            self._start()

    def put(self, event: Draft) -> None:
        """Take an event along; it is counted as lost where the queue is full."""
        if self._thread is None:
            self._start()
        if not self._queue.put(event):
            reason = "shutdown" if self._queue.is_closed else "queue_full"
            self._losses.count(reason, f"{len(self._queue)} events wait")

    def flush(self, timeout_seconds: float | None = None) -> bool:
        """Whether everything was delivered within `timeout_seconds`."""
        if self._thread is None:
            return not len(self._queue)
        seconds = self._options.timeout_seconds if timeout_seconds is None else timeout_seconds
        return self._sender.wait_until_idle(seconds)

    def shutdown(self, timeout_seconds: float | None = None) -> None:
        """Send what waits within `timeout_seconds`, put the rest on disk, and end the thread."""
        default = self._options.shutdown_timeout_seconds
        seconds = default if timeout_seconds is None else timeout_seconds
        self._sender.close(seconds)
        if self._thread is not None:
            self._thread.join(seconds)
        self._sender.rescue()
        if self._thread is None or not self._thread.is_alive():
            self._delivery.close()

    def abandon(self) -> None:
        """Leave everything to the parent process: this is a fork's copy, without its thread."""
        self._delivery.abandon()
        if self._spool is not None:
            self._spool.abandon()

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._sender.run, name="llmscope", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                # No thread starts at the end of a process; the shutdown stores what waits.
                self._losses.fail(error)
                return
            self._thread = thread
            self._end_with_multiprocessing()

    def _end_with_multiprocessing(self) -> None:
        """Its children end without `atexit`."""
        multiprocessing = sys.modules.get("multiprocessing")
        if multiprocessing is not None and multiprocessing.parent_process() is not None:
            util = sys.modules["multiprocessing.util"]
            util.Finalize(None, self.shutdown, exitpriority=0)


def _spool_of(options: Options, losses: Losses) -> Spool | None:
    if options.spool_path is None or not spools.IS_SUPPORTED:
        return None
    # Events of one key must not be sent with another: they would be another project's.
    name = hashlib.sha256(f"{options.url}\n{options.api_key}".encode()).hexdigest()[:16]

    def damaged(count: int) -> None:
        losses.count("spool_damaged", "lines of the spool are no events", count)

    return Spool(options.spool_path / name, options.max_spool_bytes, damaged)
