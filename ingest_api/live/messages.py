"""Pure: what the feed says, encoded once for all clients that want it.

A message is one JSON object with a `type`. A WebSocket frame is an array of messages that were
ready together; of Server-Sent Events each message is the data of one.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from operator import attrgetter
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from ingest_api.events import Event, usage_source_of
from ingest_api.live.positions import Position
from ingest_api.recent import COLUMNS

# What the server knows of an event, and Postgres alone.
RECEIVED, LOADED = "received_at", "loaded_at"
EVENT_COLUMNS: Final = tuple(name for name in COLUMNS if name not in {RECEIVED, LOADED})
_values_of = attrgetter(*EVENT_COLUMNS)
_ENCODER: Final = msgspec.json.Encoder()
# A batch of more is split, so that a client's buffer gives way in small steps.
MAX_BATCH_BYTES: Final = 256 * 1024

_LINE_ENDINGS: Final = tuple(
    (chr(code).encode(), b"\\u%04x" % code) for code in (0x85, 0x2028, 0x2029)
)


class Estimate(Protocol):
    """What a call probably costs, or why nobody can say."""

    @property
    def cost_usd(self) -> Decimal | None: ...
    @property
    def unpriced_reason(self) -> str | None: ...


class Message(NamedTuple):
    """An encoded message; `position` is None where a client must not resume behind it."""

    position: Position | None
    text: bytes


class Batch:
    """Messages that are ready together."""

    def __init__(self, messages: Sequence[Message], event_count: int = 0) -> None:
        self.messages = messages
        self.event_count = event_count
        self.byte_count = sum(len(message.text) for message in messages)

    @property
    def last(self) -> Position | None:
        """Where a client is behind it; None: where it was."""
        return self.messages[-1].position

    @cached_property
    def frame(self) -> str:
        """As a WebSocket's text."""
        return (b"[" + b",".join(message.text for message in self.messages) + b"]").decode()

    @cached_property
    def chunk(self) -> bytes:
        """As Server-Sent Events."""
        return b"".join(map(_server_sent_event, self.messages))

    def after(self, position: Position) -> "Batch | None":
        """The events behind `position`, where there are any."""
        left = [one for one in self.messages if one.position and one.position > position]
        if len(left) == len(self.messages):
            return self
        return Batch(left, len(left)) if left else None


def _server_sent_event(message: Message) -> bytes:
    if message.position is None:
        return b"data: %b\n\n" % message.text
    return b"id: %b\ndata: %b\n\n" % (str(message.position).encode(), message.text)


def split(messages: Sequence[Message]) -> list[Batch]:
    """Events as batches of about `MAX_BATCH_BYTES`."""
    batches: list[Batch] = []
    part: list[Message] = []
    size = 0
    for message in messages:
        part.append(message)
        size += len(message.text)
        if size >= MAX_BATCH_BYTES:
            batches.append(Batch(part, len(part)))
            part, size = [], 0
    return [*batches, Batch(part, len(part))] if part else batches


def event_message(
    position: Position, event: Event, received_at: datetime, estimate: Estimate
) -> Message:
    """An event as `GET /events/recent` would show it, with what it probably costs."""
    values: dict[str, Any] = dict(zip(EVENT_COLUMNS, _values_of(event), strict=True))
    values["started_at"] = event.started_at.astimezone(UTC)
    values["ended_at"] = event.ended_at and event.ended_at.astimezone(UTC)
    values["usage_details"] = event.usage_details if bytes(event.usage_details) else None
    values["usage_source"] = usage_source_of(event)
    values[RECEIVED] = received_at
    values["estimated_cost_usd"] = estimate.cost_usd
    values["is_estimate"] = True
    values["unpriced_reason"] = estimate.unpriced_reason
    text = _ENCODER.encode({"type": "event", "id": str(position), "event": values})
    return Message(position, text if text.isascii() else _on_one_line(text))


def _on_one_line(text: bytes) -> bytes:
    """JSON without the characters that some readers of lines, Python's too, take for an end."""
    for ending, escape in _LINE_ENDINGS:
        text = text.replace(ending, escape)
    return text


def _control(kind: str, position: Position | None = None, **members: Any) -> Batch:
    identity = {} if position is None else {"id": str(position)}
    return Batch([Message(position, _ENCODER.encode({"type": kind, **identity, **members}))])


def ready(position: Position, *, is_resumed: bool, heartbeat_seconds: float) -> Batch:
    """The first message: from where on events follow."""
    return _control("ready", position, is_resumed=is_resumed, heartbeat_seconds=heartbeat_seconds)


def heartbeat(position: Position) -> Batch:
    """Nothing happened, and there is nothing up to `position`."""
    return _control("heartbeat", position)


def dropped(count: int, resume_after: Position) -> Batch:
    """The client was too slow for so many events, which lie behind `resume_after`."""
    return _control("dropped", count=count, resume_after=str(resume_after))


def gap(after: Position, oldest_id: str) -> Batch:
    """Events between the two may have been there, and are no longer kept."""
    return _control("gap", after=str(after), oldest_id=oldest_id)


def end(problem: dict[str, Any]) -> Batch:
    """The last message: why the server closes."""
    return _control("end", problem=problem)
