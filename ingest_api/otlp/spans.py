"""A span as the mapping reads it, whatever it was sent as."""

from typing import NamedTuple

import msgspec

from ingest_api.otlp.aliases import Attributes, facts_of

TRACE_ID_HEX_DIGITS = 32
SPAN_ID_HEX_DIGITS = 16


class Moment(NamedTuple):
    """An event of a span, such as the first chunk of a stream or an exception."""

    unix_nano: int
    attributes: Attributes


class Span(msgspec.Struct):
    """One span with what the mapping may need of it.

    Attributes:
        resource: What the attributes of the process say, as `facts`; shared by its spans.
        scope_name: The instrumentation that made it, as `scope_version`.
        trace_id: 32 lower-case hex digits.
        span_id: 16 lower-case hex digits.
        parent_span_id: As `span_id`; None for a root.
        start_unix_nano: 0 where it was not sent, as `end_unix_nano`.
        moments: The first event of each name.
        is_error: Whether the status is ERROR.
        facts: What `attributes` say, by the keys of `aliases.TABLE`.
    """

    resource: Attributes
    scope_name: str
    scope_version: str
    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    start_unix_nano: int
    end_unix_nano: int
    attributes: Attributes
    moments: dict[str, Moment]
    is_error: bool
    status_message: str
    facts: Attributes = {}

    def __post_init__(self) -> None:
        self.facts = facts_of(self.attributes)


class SpanRejection(NamedTuple):
    """A part of a request that could not be read, and why. Never quotes a value."""

    place: str
    reason: str


class Decoded(NamedTuple):
    """What a request holds."""

    spans: list[Span]
    rejected: list[SpanRejection]


class SpanError(ValueError):
    """A span cannot be read."""


def hex_id(text: str, digits: int, field: str) -> str:
    """The id in lower case.

    Raises:
        SpanError: it is not of that many hex digits, or all zeros.
    """
    try:
        number = int(text, 16) if len(text) == digits and text.isalnum() else 0
    except ValueError:
        number = 0
    if not number:
        raise SpanError(f"{field} must be {digits} hex digits that are not all zero")
    return text.lower()


def parent_id(text: str) -> str | None:
    """The id of the parent, None where there is none or it cannot be one."""
    try:
        return hex_id(text, SPAN_ID_HEX_DIGITS, "parentSpanId") if text else None
    except SpanError:
        return None


def unix_nano(value: int | str | None, field: str) -> int:
    """Nanoseconds since 1970, 0 where there is none.

    Raises:
        SpanError: no 64 bits hold it.
    """
    nano = int(value or 0)
    if not 0 <= nano < 2**64:
        raise SpanError(f"{field} must be nanoseconds since 1970")
    return nano
