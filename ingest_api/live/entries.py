"""Pure: an entry of the stream -> its events, as far as they are readable."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from ingest_api.events import Event
from ingest_api.live.positions import Position
from ingest_api.stream import RawEntry

_EVENTS: Final = msgspec.json.Decoder(list[Event])
_EVENT: Final = msgspec.json.Decoder(Event)
_RAW_EVENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
# Nesting without end raises RecursionError.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class FeedEvent(NamedTuple):
    """An event and its place in the feed."""

    position: Position
    event: Event


class FeedEntry(NamedTuple):
    """A readable entry."""

    tenant_id: UUID
    project_id: UUID
    received_at: datetime
    events: list[FeedEvent]


def project_of(fields: Mapping[bytes, bytes]) -> UUID | None:
    """Whose events the entry carries; None where it does not say so."""
    try:
        return UUID(fields.get(b"project_id", b"").decode())
    except ValueError:
        return None


def read_entry(entry: RawEntry) -> FeedEntry | None:
    """The entry; None where it is unreadable. An unreadable event costs its neighbours nothing.

    The loader makes dead letters of what is left out here.
    """
    fields = entry.fields
    try:
        tenant_id = UUID(fields[b"tenant_id"].decode())
        project_id = UUID(fields[b"project_id"].decode())
        received_at = datetime.fromisoformat(fields[b"received_at"].decode())
        events = _read_events(fields[b"events"])
    except (KeyError, ValueError, *_UNREADABLE):
        return None
    milliseconds, sequence, _ = Position.of_entry(entry.entry_id)
    placed = [
        FeedEvent(Position(milliseconds, sequence, index), event)
        for index, event in enumerate(events)
        if event is not None and event.event_id is not None
    ]
    return FeedEntry(tenant_id, project_id, received_at, placed)


def _read_events(body: bytes) -> list[Event] | list[Event | None]:
    try:
        return _EVENTS.decode(body)
    except _UNREADABLE:
        return [_read_event(part) for part in _RAW_EVENTS.decode(body)]


def _read_event(part: msgspec.Raw) -> Event | None:
    try:
        return _EVENT.decode(part)
    except _UNREADABLE:
        return None
