"""Counts what was lost and tells `on_error` of each reason once."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter

from llmscope._errors import HeldError, InternalError, LossError, ReportedError
from llmscope._options import OnError

LOGGER = logging.getLogger("llmscope")


class Losses:
    """Safe for threads.

    Args:
        on_error: Is told of each reason once; by default the log is.
    """

    def __init__(self, on_error: OnError | None = None) -> None:
        self._on_error = on_error or _log
        # A finalizer that reports may run on a thread that is just reporting.
        self._lock = threading.RLock()
        self._counts: Counter[str] = Counter()
        self._told: set[str] = set()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew_lock)

    def count(self, reason: str, detail: str, count: int = 1) -> None:
        """So many events are lost."""
        with self._lock:
            self._counts[reason] += count
        self._tell(LossError(reason, detail, count))

    def hold(self, reason: str, detail: str, status: int | None = None) -> None:
        """Events have to wait."""
        self._tell(HeldError(reason, detail, status))

    def fail(self, error: BaseException) -> None:
        """The SDK itself failed."""
        self._tell(InternalError("internal", f"{type(error).__name__}: {error}"))

    def counts(self) -> dict[str, int]:
        """Lost events by reason."""
        with self._lock:
            return dict(self._counts)

    def _tell(self, error: ReportedError) -> None:
        with self._lock:
            if error.reason in self._told:
                return
            self._told.add(error.reason)
        try:
            self._on_error(error)
        except Exception as failure:
            LOGGER.warning("on_error itself failed (%r) when told: %s", failure, error)

    def _renew_lock(self) -> None:
        """Another thread of the parent may have held it."""
        self._lock = threading.RLock()


def _log(error: ReportedError) -> None:
    LOGGER.warning("%s; told once, llmscope.losses() counts", error)
