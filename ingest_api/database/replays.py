"""Pure: what of a dead letter may go into the stream again."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from ingest_api import events
from ingest_api.events import ContractError, Event, Timestamp
from ingest_api.stream import Source

# Python's JSON recursion ends near 1,000 levels; what lies that deep no loader can read.
NESTED_TOO_DEEPLY: Final = "is nested too deeply"

_EVENT: Final = msgspec.json.Decoder(Event)
_EVENTS: Final = msgspec.json.Decoder(list[Event])
_JSON: Final = msgspec.json.Encoder()


class DumpedEntry(NamedTuple):
    """An entry out of the payload of a letter without a head, where this server can read it."""

    source: Source
    received_at: datetime
    events: bytes


class _Fields(msgspec.Struct):
    tenant_id: bytes
    project_id: bytes
    received_at: bytes
    events: bytes
    api_key_id: bytes = b""


class _Head(msgspec.Struct):
    tenant_id: UUID
    project_id: UUID
    received_at: Timestamp
    api_key_id: UUID | None


class Replayable(NamedTuple):
    """Events in the form of a stream entry: a JSON array, and how many it holds."""

    events: bytes
    event_count: int


def replayable(payload: bytes, is_whole_entry: bool, now: datetime) -> Replayable:
    """The events of a payload that fits the contract as this server knows it.

    Args:
        payload: One event as JSON, or an entry's array of events where `is_whole_entry`.
        is_whole_entry: Whether the letter stands for all events of an entry.
        now: Aware, UTC.

    Raises:
        ContractError: it does not fit; the loader would refuse it again.
    """
    decoded = _decode(payload, is_whole_entry)
    for event in decoded:
        if event.event_id is None:
            raise ContractError("event_id", "is missing: add one to a corrected event")
        events.check(event, now)
    return Replayable(_JSON.encode(decoded), len(decoded))


def read_dump(payload: bytes) -> DumpedEntry:
    """The entry behind the dump of all its fields, which the loader keeps where it read no head.

    Args:
        payload: JSON object, each field of the entry in base64.

    Raises:
        ContractError: this server cannot read the head either: nobody knows whose events these are.
    """
    try:
        fields = msgspec.json.decode(payload, type=_Fields)
        text = {
            "tenant_id": fields.tenant_id.decode(),
            "project_id": fields.project_id.decode(),
            "received_at": fields.received_at.decode(),
            "api_key_id": fields.api_key_id.decode() or None,
        }
        head = msgspec.convert(text, _Head)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContractError("", f"the stream entry has no readable head: {error}") from None
    source = Source(head.tenant_id, head.project_id, head.api_key_id)
    return DumpedEntry(source, head.received_at, fields.events)


def _decode(payload: bytes, is_whole_entry: bool) -> list[Event]:
    try:
        return _EVENTS.decode(payload) if is_whole_entry else [_EVENT.decode(payload)]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ContractError("", str(error)) from None
    except RecursionError:
        raise ContractError("", NESTED_TOO_DEEPLY) from None
