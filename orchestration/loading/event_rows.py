"""Pure: entries of the stream -> rows of the raw tables, and letters for what cannot be a row."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from ingest_api.events import Event, json_text, usage_source_of
from ingest_api.stream import RawEntry

# Columns that the sender does not decide, and fields whose form in the table is another.
SERVER_COLUMNS: Final = ("tenant_id", "project_id", "api_key_id", "received_at")
SHAPED_FIELDS: Final = (
    "usage_source",
    "usage_details",
    "tags",
    "input_messages",
    "output_messages",
)
PLAIN_FIELDS: Final = tuple(
    f.name for f in msgspec.structs.fields(Event) if f.name not in SHAPED_FIELDS
)
EVENT_COLUMNS: Final = (*PLAIN_FIELDS, "usage_source", "usage_details", "tags", *SERVER_COLUMNS)
CONTENT_COLUMNS: Final = (
    "event_id", "project_id", "started_at", "input_messages", "output_messages",
)  # fmt: skip

_EVENTS = msgspec.json.Decoder(list[Event])
_RAW_EVENTS = msgspec.json.Decoder(list[msgspec.Raw])
_EVENT = msgspec.json.Decoder(Event)
_JSON = msgspec.json.Encoder()

Row = tuple[Any, ...]


class EntryHead(NamedTuple):
    """What an entry says of all its events."""

    tenant_id: UUID
    project_id: UUID
    api_key_id: UUID | None
    received_at: datetime


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
class LoadableEvent:
    """One event on its way into the tables, with what a dead letter would need."""

    entry_id: str
    event_index: int
    head: EntryHead
    event: Event

    def row(self) -> Row:
        """Values in the order of `EVENT_COLUMNS`."""
        event = self.event
        return (
            *(getattr(event, name) for name in PLAIN_FIELDS),
            usage_source_of(event),
            json_text(event.usage_details),
            _JSON.encode(event.tags or {}).decode(),
            *self.head,
        )

    def content_row(self) -> Row | None:
        """Values in the order of `CONTENT_COLUMNS`; None where no messages were sent."""
        event = self.event
        sent, answered = json_text(event.input_messages), json_text(event.output_messages)
        if sent is None and answered is None:
            return None
        return (event.event_id, self.head.project_id, event.started_at, sent, answered)

    def letter(self, reason: str) -> Letter:
        """The dead letter of this event."""
        payload = _JSON.encode(self.event)
        return Letter(self.entry_id, self.event_index, self.head, payload, reason)


def read_entries(entries: Iterable[RawEntry]) -> tuple[list[LoadableEvent], list[Letter]]:
    """Split entries into events that have the contract's form and letters for the rest."""
    loadable: list[LoadableEvent] = []
    letters: list[Letter] = []
    for entry in entries:
        try:
            head = read_head(entry.fields)
        except ValueError as error:
            letters.append(Letter(entry.entry_id, None, None, _dump(entry.fields), str(error)))
            continue
        _read_events(entry.entry_id, head, entry.fields[b"events"], loadable, letters)
    return loadable, letters


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


def _read_events(
    entry_id: str,
    head: EntryHead,
    body: bytes,
    loadable: list[LoadableEvent],
    letters: list[Letter],
) -> None:
    try:
        decoded = _EVENTS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        _read_each(entry_id, head, body, loadable, letters)
        return
    for index, event in enumerate(decoded):
        _keep(LoadableEvent(entry_id, index, head, event), loadable, letters)


def _read_each(
    entry_id: str,
    head: EntryHead,
    body: bytes,
    loadable: list[LoadableEvent],
    letters: list[Letter],
) -> None:
    try:
        parts = _RAW_EVENTS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        letters.append(Letter(entry_id, None, head, body, f"the events are unreadable: {error}"))
        return
    for index, part in enumerate(parts):
        try:
            event = _EVENT.decode(part)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            letters.append(Letter(entry_id, index, head, bytes(part), str(error)))
        else:
            _keep(LoadableEvent(entry_id, index, head, event), loadable, letters)


def _keep(item: LoadableEvent, loadable: list[LoadableEvent], letters: list[Letter]) -> None:
    if item.event.event_id is None:
        letters.append(item.letter("the event has no event_id"))
    else:
        loadable.append(item)


def _dump(fields: Mapping[bytes, bytes]) -> bytes:
    """All fields of an unreadable entry, so that nothing of it is lost."""
    return _JSON.encode({k.decode(errors="replace"): v for k, v in fields.items()})
