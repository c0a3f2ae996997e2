"""Pure: a request body -> accepted events and one rejection per bad event.

A well-formed batch is decoded in one pass. Only where that fails is each event decoded by itself,
so that one bad event costs its neighbours nothing but time.
"""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from ingest_api import events
from ingest_api.errors import BodyTooLargeError, MalformedBodyError
from ingest_api.events import ContractError, Event

_BATCH = msgspec.json.Decoder(list[Event])
_EVENT = msgspec.json.Decoder(Event)
_RAW_BATCH = msgspec.json.Decoder(list[msgspec.Raw])
_ENCODER = msgspec.json.Encoder()
# Unlike msgspec it lets half a surrogate pair pass.
_TOLERANT = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\r\n]*")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_LOCATION = re.compile(
    r"^(?P<reason>.*?)(?: - at (?P<key>`key` in )?`\$(?P<path>[^`]*)`)?$", re.DOTALL
)
_QUOTED_FIELD = re.compile(r"(?:unknown|required) field `([^`]+)`")
# Postgres stores it neither in text nor in jsonb.
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Rejection(msgspec.Struct, frozen=True):
    """Why one event of a request was not accepted.

    Attributes:
        index: Position of the event in the request, from 0.
        field: Name of the guilty field, empty where the event as a whole is wrong.
        reason: What is wrong and how to mend it.
    """

    index: int
    field: str
    reason: str


class Batch(msgspec.Struct, frozen=True):
    """What a request body yields. `payload` is a JSON array of the accepted events."""

    ids: list[UUID]
    payload: bytes
    rejected: list[Rejection]


def accept_event(body: bytes, now: datetime, *, keeps_content: bool = True) -> Batch:
    """One JSON object -> a batch of one. `now` is aware, UTC.

    Args:
        keeps_content: Whether prompts and completions stay in the event.

    Raises:
        MalformedBodyError: the body is no JSON object.
    """
    if not body.lstrip().startswith(b"{"):
        raise MalformedBodyError(
            "The body must be one JSON object; send an array to /api/v1/events/ingest/batch."
        )
    try:
        event = _decode_one(body, now)
    except ContractError as error:
        _check_syntax(body)
        return Batch([], b"[]", [Rejection(0, error.field, error.reason)])
    return _batch([event], [], keeps_content)


def accept_batch(
    body: bytes, now: datetime, max_events: int, *, keeps_content: bool = True
) -> Batch:
    """A JSON array of events -> the accepted ones, and a rejection for each of the others.

    Args:
        keeps_content: Whether prompts and completions stay in the events.

    Raises:
        MalformedBodyError: the body is no JSON array.
        BodyTooLargeError: more than `max_events` events.
    """
    if not body.lstrip().startswith(b"["):
        raise MalformedBodyError("The body must be a JSON array of events.")
    try:
        decoded = _BATCH.decode(body)
    except _UNREADABLE:
        return _accept_each(_split(body, max_events), now, keeps_content)
    _check_count(len(decoded), max_events)
    if _has_nul(body) or not _all_fit(decoded, now):
        return _accept_each(_split(body, max_events), now, keeps_content)
    return _batch(decoded, [], keeps_content)


def accept_lines(
    body: bytes, now: datetime, max_events: int, *, keeps_content: bool = True
) -> Batch:
    """NDJSON: one event a line, blank lines skipped; otherwise as `accept_batch`."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    _check_count(len(lines), max_events)
    return _accept_each(lines, now, keeps_content)


def _accept_each(
    bodies: Iterable[bytes | msgspec.Raw], now: datetime, keeps_content: bool
) -> Batch:
    accepted: list[Event] = []
    rejected: list[Rejection] = []
    for index, body in enumerate(bodies):
        try:
            accepted.append(_decode_one(bytes(body), now))
        except ContractError as error:
            rejected.append(Rejection(index, error.field, error.reason))
    return _batch(accepted, rejected, keeps_content)


def _batch(accepted: list[Event], rejected: list[Rejection], keeps_content: bool) -> Batch:
    ids = [event.event_id or _identify(event) for event in accepted]
    if not keeps_content:
        for event in accepted:
            event.input_messages = event.output_messages = events.ABSENT
    return Batch(ids, _ENCODER.encode(accepted), rejected)


def _decode_one(body: bytes, now: datetime) -> Event:
    try:
        event = _EVENT.decode(body)
    except _UNREADABLE as error:
        raise contract_error(error) from None
    _check_storable(body)
    events.check(event, now)
    return event


def contract_error(error: Exception) -> ContractError:
    """The words of the decoder as a field and a reason with its fix. Never quotes a value."""
    match = _LOCATION.match(str(error))
    reason, path = (match["reason"], match["path"] or "") if match else (str(error), "")
    field = path.lstrip(".").split(".")[0].split("[")[0]
    if match and match["key"]:
        reason = f"in a key: {reason}"
    if quoted := _QUOTED_FIELD.search(reason):
        field = quoted[1]
    if "unknown field" in reason:
        reason = "is not a field of the event: put it under tags, or see docs/events.md"
    elif "missing required" in reason:
        reason = "is missing"
    elif reason.startswith("Invalid enum value"):
        reason = f"must be one of {', '.join(_choices(field))}"
    return ContractError(field, reason)


def _choices(field: str) -> list[str]:
    schema = events.json_schema()["properties"][field]
    options = schema.get("anyOf", [schema])
    return [value for option in options for value in option.get("enum", [])]


def _check_storable(body: bytes) -> None:
    if not _has_nul(body):
        return
    for name, raw in msgspec.json.decode(body, type=dict[str, msgspec.Raw]).items():
        if _has_nul(bytes(raw)):
            raise ContractError(name, "contains the character U+0000: remove it")


def _has_nul(body: bytes) -> bool:
    """The plain searches come first: 0.1 us for an event, 0.3 us and 23 us for the pattern."""
    return b"\\" in body and b"\\u0000" in body and _ESCAPED_NUL.search(body) is not None


def _check_syntax(body: bytes) -> None:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except _UNREADABLE as error:
        raise _malformed(error) from None


def _split(body: bytes, max_events: int) -> Sequence[bytes | msgspec.Raw]:
    try:
        parts: Sequence[bytes | msgspec.Raw] = _RAW_BATCH.decode(body)
    except _UNREADABLE as error:
        parts = _split_around_broken_text(body, error)
    _check_count(len(parts), max_events)
    return parts


def _split_around_broken_text(body: bytes, error: Exception) -> list[bytes | msgspec.Raw]:
    """Parts of an array whose strings may hold halves of surrogate pairs.

    A cut string becomes one in `json.dumps`: it must not cost the neighbours of its event.
    """
    text = body.decode(errors="surrogateescape")
    parts: list[bytes | msgspec.Raw] = []
    separator = "["
    end = 0
    try:
        while separator != "]":
            start = _BLANK.match(text, text.index(separator, end) + 1).end()  # type: ignore[union-attr]
            _, end = _TOLERANT.raw_decode(text, start)
            parts.append(text[start:end].encode(errors="surrogateescape"))
            end = _BLANK.match(text, end).end()  # type: ignore[union-attr]
            separator = text[end]
            if separator not in ",]":
                raise _malformed(error)
    except (ValueError, IndexError, RecursionError):
        raise _malformed(error) from None
    if text[end + 1 :].strip():
        raise _malformed(error)
    return parts


def _check_count(count: int, max_events: int) -> None:
    if count > max_events:
        raise BodyTooLargeError(
            f"The request has {count} events and may have {max_events}: send several requests."
        )


def _malformed(error: Exception) -> MalformedBodyError:
    if isinstance(error, RecursionError):
        return MalformedBodyError("The body is nested too deep.")
    return MalformedBodyError(f"The body is not valid JSON: {error}")


def _all_fit(decoded: list[Event], now: datetime) -> bool:
    try:
        for event in decoded:
            events.check(event, now)
    except ContractError:
        return False
    return True


def _identify(event: Event) -> UUID:
    event.event_id = events.new_event_id()
    return event.event_id
