"""Events of a stream, cut out of bytes as they come: server-sent ones, lines, and AWS' frames."""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple, Protocol

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


class Cutter(Protocol):
    """Keeps the bytes of an event that has not ended yet.

    Attributes:
        rest: Those bytes.
    """

    rest: bytes

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that `chunk` ends."""


class EventCutter:
    """Server-sent events."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that `chunk` ends."""
        data = self.rest + chunk
        start = 0
        for end in _ENDS.finditer(data):
            yield _event(data[start : end.end()])
            start = end.end()
        self.rest = _bounded(data[start:])


class LineCutter:
    """JSON, one event a line."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that `chunk` ends."""
        *lines, rest = (self.rest + chunk).split(b"\n")
        self.rest = _bounded(rest)
        return (ServerEvent("", line.strip(), line) for line in lines if line.strip())


class FrameCutter:
    """Frames of `application/vnd.amazon.eventstream`.

    A frame is its length, that of its headers and a checksum, 4 bytes each, then headers, payload
    and a checksum. The library that reads the stream has checked the sums.
    """

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that `chunk` ends."""
        data = self.rest + chunk
        while len(data) >= _PRELUDE_BYTES:
            size, headers_size = struct.unpack_from("!II", data)
            if size < _PRELUDE_BYTES + _SUM_BYTES + headers_size:
                raise ValueError("a frame of a stream is no frame")
            if len(data) < size:
                break
            headers_end = _PRELUDE_BYTES + headers_size
            headers = _headers(data[_PRELUDE_BYTES:headers_end])
            yield frame_event(headers, data[headers_end : size - _SUM_BYTES], data[:size])
            data = data[size:]
        self.rest = _bounded(data)


_PRELUDE_BYTES, _SUM_BYTES = 12, 4
# Bytes of a header's value by its type; types 6 and 7 say it themselves.
_VALUE_BYTES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


def cutter_of(content_type: str) -> Cutter:
    """How events are cut out of an answer of that type."""
    if "eventstream" in content_type:
        return FrameCutter()
    is_lines = any(kind in content_type for kind in ("stream+json", "ndjson", "jsonl"))
    return LineCutter() if is_lines else EventCutter()


def frame_event(headers: dict[str, str], payload: bytes, raw: bytes = b"") -> ServerEvent:
    """The event in a frame; one that a model wrote is packed once more.

    A frame that tells of a failure becomes an event as Anthropic sends it.
    """
    if headers.get(":message-type", "event") != "event":
        kind = headers.get(":exception-type") or headers.get(":error-code") or "error"
        message = headers.get(":error-message") or _message_in(payload)
        error = {"type": "error", "error": {"type": kind, "message": message}}
        return ServerEvent("error", json.dumps(error).encode(), raw)
    name = headers.get(":event-type", "")
    if name == "chunk":
        payload = base64.b64decode(json.loads(payload).get("bytes") or "")
    return ServerEvent(name, payload, raw)


def _message_in(payload: bytes) -> str:
    try:
        document = json.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "replace")
    found = document.get("message") or document.get("Message") if isinstance(document, dict) else ""
    return str(found or "")


def _headers(data: bytes) -> dict[str, str]:
    headers, at = {}, 0
    while at < len(data):
        name_end = at + 1 + data[at]
        name, kind, at = data[at + 1 : name_end].decode(), data[name_end], name_end + 1
        if kind in _VALUE_BYTES:
            at += _VALUE_BYTES[kind]
            continue
        (size,) = struct.unpack_from("!H", data, at)
        headers[name] = data[at + 2 : at + 2 + size].decode("utf-8", "replace")
        at += 2 + size
    return headers


def _bounded(rest: bytes) -> bytes:
    if len(rest) > MAX_EVENT_BYTES:
        raise ValueError("an event of a stream is too long")
    return rest


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
