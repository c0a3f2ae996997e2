"""Pure: entries of the stream -> a batch of events, and letters for what cannot be loaded."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from ingest_api.events import Event
from ingest_api.stream import RawEntry

# What an entry says of all its events, in the order of `EntryHead`.
SERVER_COLUMNS: Final = ("tenant_id", "project_id", "api_key_id", "received_at")

_EVENTS = msgspec.json.Decoder(list[Event])
_RAW_EVENTS = msgspec.json.Decoder(list[msgspec.Raw])
_EVENT = msgspec.json.Decoder(Event)
_JSON = msgspec.json.Encoder()
# Nesting without end raises RecursionError.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class EntryHead(NamedTuple):
    """What an entry says of all its events."""

    tenant_id: UUID
    project_id: UUID
    api_key_id: UUID | None
    received_at: datetime


class Origin(NamedTuple):
    """The entry that an event came in."""

    entry_id: str
    head: EntryHead


@dataclass(frozen=True)
class Letter:
    """An event, or a whole entry, that cannot be loaded.

    Attributes:
        event_index: Position in the entry; None where the entry as a whole is unreadable.
        payload: The bytes as they lay in the stream.
    """

    entry_id: str
    event_index: int | None
    head: EntryHead | None
    payload: bytes
    rejected_reason: str


@dataclass(frozen=True)
class EventBatch:
    """Events on their way into the tables, with what their dead letters would need.

    Three lists of the same length: an object for each event would cost as much as decoding it.

    Attributes:
        indexes: Position of each event in its entry.
    """

    events: list[Event] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.events)

    def part(self, start: int, stop: int) -> "EventBatch":
        """The events from `start` up to `stop`."""
        where = slice(start, stop)
        return EventBatch(self.events[where], self.origins[where], self.indexes[where])

    def add(self, origin: Origin, events: Sequence[Event], first_index: int = 0) -> None:
        """Append neighbours of one entry."""
        self.events.extend(events)
        self.origins.extend([origin] * len(events))
        self.indexes.extend(range(first_index, first_index + len(events)))

    def letter(self, position: int, reason: str) -> Letter:
        """The dead letter of the event at `position` of this batch."""
        origin = self.origins[position]
        return _letter(origin, self.indexes[position], self.events[position], reason)


def read_entries(entries: Iterable[RawEntry]) -> tuple[EventBatch, list[Letter]]:
    """Split entries into events that have the contract's form and letters for the rest."""
    batch, letters = EventBatch(), list[Letter]()
    for entry in entries:
        try:
            head = read_head(entry.fields)
        except ValueError as error:
            letters.append(Letter(entry.entry_id, None, None, _dump(entry.fields), str(error)))
            continue
        _read_events(Origin(entry.entry_id, head), entry.fields[b"events"], batch, letters)
    return batch, letters


def read_head(fields: Mapping[bytes, bytes]) -> EntryHead:
    """The head of an entry.

    Raises:
        ValueError: names the field that is missing or malformed.
    """
    missing = [name for name in (*SERVER_COLUMNS, "events") if name.encode() not in fields]
    if missing:
        raise ValueError(f"the entry lacks the field {missing[0]}")
    tenant_id, project_id, api_key_id, received_at = (
        fields[name.encode()].decode(errors="replace") for name in SERVER_COLUMNS
    )
    try:
        return EntryHead(
            UUID(tenant_id),
            UUID(project_id),
            UUID(api_key_id) if api_key_id else None,
            datetime.fromisoformat(received_at),
        )
    except ValueError as error:
        raise ValueError(f"the entry's head is malformed: {error}") from None


def _read_events(origin: Origin, body: bytes, batch: EventBatch, letters: list[Letter]) -> None:
    try:
        decoded = _EVENTS.decode(body)
    except UNREADABLE:
        _read_each(origin, body, batch, letters)
        return
    if all(event.event_id is not None for event in decoded):
        batch.add(origin, decoded)
        return
    for index, event in enumerate(decoded):
        _keep(origin, index, event, batch, letters)


def _read_each(origin: Origin, body: bytes, batch: EventBatch, letters: list[Letter]) -> None:
    try:
        parts = _RAW_EVENTS.decode(body)
    except UNREADABLE as error:
        reason = f"the events are unreadable: {error}"
        letters.append(Letter(origin.entry_id, None, origin.head, body, reason))
        return
    for index, part in enumerate(parts):
        try:
            event = _EVENT.decode(part)
        except UNREADABLE as error:
            letters.append(Letter(origin.entry_id, index, origin.head, bytes(part), str(error)))
        else:
            _keep(origin, index, event, batch, letters)


def _keep(
    origin: Origin, index: int, event: Event, batch: EventBatch, letters: list[Letter]
) -> None:
    if event.event_id is None:
        letters.append(_letter(origin, index, event, "the event has no event_id"))
    else:
        batch.add(origin, [event], index)


def _letter(origin: Origin, index: int, event: Event, reason: str) -> Letter:
    return Letter(origin.entry_id, index, origin.head, _JSON.encode(event), reason)


def _dump(fields: Mapping[bytes, bytes]) -> bytes:
    """All fields of an unreadable entry, so that nothing of it is lost."""
    return _JSON.encode({k.decode(errors="replace"): v for k, v in fields.items()})
