"""The state behind `init`: options, losses and the transport of this process."""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Mapping
from typing import Any, Callable

from llmscope._context import current_fields
from llmscope._events import finished
from llmscope._losses import Losses
from llmscope._options import Options
from llmscope._transport.backoff import DEFAULT_BACKOFF, Backoff
from llmscope._transport.transport import Transport


class Client:
    """Records events. Survives forks: a child has a queue and a thread of its own.

    Nothing that its methods do raises but for a wrong argument of `event_of`.
    """

    def __init__(self, options: Options, backoff: Backoff = DEFAULT_BACKOFF) -> None:
        self.options = options
        self.losses = Losses(options.on_error)
        self._backoff = backoff
        self._transport = Transport(options, self.losses, backoff)
        self._defaults = {
            name: value
            for name, value in (
                ("environment", options.environment),
                ("service_name", options.service_name),
            )
            if value
        }
        self._transport.replay()
        _watch_fork(weakref.ref(self))
        atexit.register(self.shutdown)

    def record(self, values: Mapping[str, Any], fields: Mapping[str, Any] | None = None) -> None:
        """Take an event along.

        Args:
            values: Fields of the event; they win over the context's.
            fields: The context of the call, where it is not the current one.
        """
        if not self.options.is_enabled:
            return
        try:
            self._transport.put(self.event_of(values, fields))
        except ValueError as error:
            self.losses.count("invalid", str(error))
        except Exception as error:
            self.losses.fail(error)

    def record_later(
        self, make: Callable[[], Mapping[str, Any]], fields: Mapping[str, Any]
    ) -> None:
        """Take an event along that is made on the sender's thread. Nobody may change its parts."""
        try:
            self._transport.put(lambda: self.event_of(make(), fields))
        except Exception as error:
            self.losses.fail(error)

    def event_of(
        self, values: Mapping[str, Any], fields: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The whole event.

        Raises:
            ValueError: `values` are no event.
        """
        around = current_fields() if fields is None else fields
        joined = {**self._defaults, **around, **values}
        if around.get("tags") and values.get("tags"):
            joined["tags"] = {**around["tags"], **values["tags"]}
        if not self.options.capture_content:
            joined.pop("input_messages", None)
            joined.pop("output_messages", None)
        return finished(joined)

    def flush(self, timeout_seconds: float | None = None) -> bool:
        """Whether everything was delivered within the time."""
        return self._transport.flush(timeout_seconds)

    def shutdown(self, timeout_seconds: float | None = None) -> None:
        """Send or store what waits; later events are lost, and counted."""
        atexit.unregister(self.shutdown)
        try:
            self._transport.shutdown(timeout_seconds)
        except Exception as error:
            self.losses.fail(error)

    def restart_in_child(self) -> None:
        """After a fork: the parent sends what it had, this process starts anew."""
        self._transport.abandon()
        self._transport = Transport(self.options, self.losses, self._backoff)


def _watch_fork(client: weakref.ReferenceType[Client]) -> None:
    def restart() -> None:
        living = client()
        if living is not None:
            living.restart_in_child()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=restart)
