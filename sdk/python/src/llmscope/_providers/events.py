"""Server-sent events, cut out of bytes as they come."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_ENDS = re.compile(rb"\r\n\r\n|\n\n|\r\r")
# Beyond, a stream is no stream of events.
MAX_EVENT_BYTES = 32 * 2**20


class ServerEvent(NamedTuple):
    """One event.

    Attributes:
        raw: Its bytes, with the empty line that ends it.
    """

    name: str
    data: bytes
    raw: bytes


class EventCutter:
    """Keeps the bytes of an event that has not ended yet."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that `chunk` ends."""
        data = self.rest + chunk
        start = 0
        for end in _ENDS.finditer(data):
            yield _event(data[start : end.end()])
            start = end.end()
        self.rest = data[start:]
        if len(self.rest) > MAX_EVENT_BYTES:
            raise ValueError("an event of a stream is too long")


def _event(raw: bytes) -> ServerEvent:
    name, data = "", []
    for line in raw.splitlines():
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return ServerEvent(name, b"\n".join(data), raw)
