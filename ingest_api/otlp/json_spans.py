"""OTLP/JSON: the JSON mapping of protobuf with hex ids, integers as texts or numbers, and enums as
names or numbers. Unknown fields are ignored."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, TypeVar

import msgspec

from ingest_api.errors import MalformedBodyError
from ingest_api.otlp.aliases import Attributes, KeepKey, facts_of
from ingest_api.otlp.spans import (
    SPAN_ID_HEX_DIGITS,
    TRACE_ID_HEX_DIGITS,
    Decoded,
    Moment,
    Span,
    SpanError,
    SpanRejection,
    hex_id,
    parent_id,
    unix_nano,
)

STATUS_ERROR: Final = frozenset({2, "STATUS_CODE_ERROR", "2"})
# What the decoder raises; RecursionError where JSON is nested too deeply.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

# fixed64 and int64 as numbers or decimal texts. 2^64 has 20 digits.
_Integer = int | Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,20}$")]
_Nothing: Final = msgspec.Raw(b"null")


class _Struct(msgspec.Struct, rename="camel", gc=False):
    pass


class _Values(_Struct):
    values: list["_Value"] | None = None


class _Entry(_Struct):
    key: str = ""
    value: "_Value | None" = None


class _Entries(_Struct):
    values: list[_Entry] | None = None


class _Value(_Struct):
    string_value: str | None = None
    int_value: _Integer | None = None
    double_value: float | str | None = None
    bool_value: bool | None = None
    array_value: _Values | None = None
    kvlist_value: _Entries | None = None


class _Pair(_Struct):
    """An attribute. Its value is read only where the key is known: most of a span is content."""

    key: str = ""
    value: msgspec.Raw = _Nothing


class _Attributed(_Struct):
    """A resource or a scope."""

    name: str | None = None
    version: str | None = None
    attributes: list[_Pair] | None = None


class _Event(_Struct):
    time_unix_nano: _Integer | None = None
    name: str | None = None
    attributes: list[_Pair] | None = None


class _Status(_Struct):
    code: int | str | None = None
    message: str | None = None


class _Span(_Struct):
    trace_id: str | None = None
    span_id: str | None = None
    parent_span_id: str | None = None
    name: str | None = None
    start_time_unix_nano: _Integer | None = None
    end_time_unix_nano: _Integer | None = None
    attributes: list[_Pair] | None = None
    events: list[_Event] | None = None
    status: _Status | None = None


class _ScopeSpans(_Struct):
    scope: _Attributed | None = None
    spans: list[_Span] | None = None


class _ResourceSpans(_Struct):
    resource: _Attributed | None = None
    scope_spans: list[_ScopeSpans] | None = None


class _Request(_Struct):
    resource_spans: list[_ResourceSpans] | None = None


class _RawScopeSpans(_Struct):
    scope: msgspec.Raw = _Nothing
    spans: list[msgspec.Raw] | None = None


class _RawResourceSpans(_Struct):
    resource: msgspec.Raw = _Nothing
    scope_spans: list[msgspec.Raw] | None = None


class _RawRequest(_Struct):
    resource_spans: list[msgspec.Raw] | None = None


_REQUEST: Final = msgspec.json.Decoder(_Request)
_RAW_REQUEST: Final = msgspec.json.Decoder(_RawRequest)
_ANY_REQUEST: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RESOURCE_SPANS: Final = msgspec.json.Decoder(_RawResourceSpans | None)
_SCOPE_SPANS: Final = msgspec.json.Decoder(_RawScopeSpans | None)
_ATTRIBUTED: Final = msgspec.json.Decoder(_Attributed | None)
_SPAN: Final = msgspec.json.Decoder(_Span)
_VALUE: Final = msgspec.json.Decoder(_Value | None)
_NAMELESS: Final = _Attributed()
_UNSET: Final = _Status()
Part = TypeVar("Part")


def decode_json(body: bytes, keep: KeepKey) -> Decoded:
    """Spans of an ExportTraceServiceRequest, with the attributes that `keep` names.

    Raises:
        MalformedBodyError: the body as a whole is no such request.
    """
    walk = _Walk(keep, [])
    try:
        groups = _REQUEST.decode(body).resource_spans or []
    except _UNREADABLE:
        # Some part is not as it should be: cut the request up, so that it costs no other.
        parts = _decode(_RAW_REQUEST, body).resource_spans or []
        return Decoded(list(walk.each(parts)), walk.rejected)
    return Decoded(list(walk.all(groups)), walk.rejected)


def check_json(body: bytes) -> None:
    """Raise `MalformedBodyError` where a body is no request of any signal."""
    _decode(_ANY_REQUEST, body)


def _decode(decoder: msgspec.json.Decoder[Part], body: bytes) -> Part:
    try:
        return decoder.decode(body)
    except _UNREADABLE as error:
        raise MalformedBodyError(f"The body is no OTLP/JSON request: {_words(error)}") from None


class _Walk:
    """Reads each span by itself, and notes what it could not read."""

    def __init__(self, keep: KeepKey, rejected: list[SpanRejection]) -> None:
        self.keep = keep
        self.rejected = rejected

    def all(self, groups: list[_ResourceSpans]) -> Iterator[Span]:
        """Spans of a request that was read in one pass: a fifth of the time of four."""
        for index, group in enumerate(groups):
            resource = self._resource(group.resource)
            for number, part in enumerate(group.scope_spans or []):
                place = f"resourceSpans[{index}].scopeSpans[{number}]"
                yield from self._of_scope(part.spans or [], resource, part.scope, place)

    def each(self, parts: list[msgspec.Raw]) -> Iterator[Span]:
        """Spans of a request of which each part is read by itself."""
        for index, part in enumerate(parts):
            place = f"resourceSpans[{index}]"
            group = self._read(_RESOURCE_SPANS, part, place)
            if group is not None and group.scope_spans:
                resource = self._resource(self._lenient(group.resource))
                yield from self._of_resource(group.scope_spans, resource, place)

    def _of_resource(
        self, parts: list[msgspec.Raw], resource: Attributes, above: str
    ) -> Iterator[Span]:
        for index, part in enumerate(parts):
            place = f"{above}.scopeSpans[{index}]"
            group = self._read(_SCOPE_SPANS, part, place)
            if group is not None and group.spans:
                scope = self._lenient(group.scope)
                yield from self._of_scope(group.spans, resource, scope, place)

    def _of_scope(
        self,
        spans: Sequence[_Span | msgspec.Raw],
        resource: Attributes,
        scope: _Attributed | None,
        above: str,
    ) -> Iterator[Span]:
        for number, sent in enumerate(spans):
            place = f"{above}.spans[{number}]"
            span = self._read(_SPAN, sent, place) if isinstance(sent, msgspec.Raw) else sent
            if span is None:
                continue
            try:
                yield _span(span, resource, scope or _NAMELESS, self.keep)
            except (SpanError, *_UNREADABLE) as error:
                self.rejected.append(SpanRejection(place, _words(error)))

    def _resource(self, sent: _Attributed | None) -> Attributes:
        """One that cannot be read costs no span."""
        try:
            return facts_of(_attributes(sent.attributes if sent else None, self.keep))
        except _UNREADABLE:
            return {}

    def _read(
        self, decoder: msgspec.json.Decoder[Part], raw: msgspec.Raw, place: str
    ) -> Part | None:
        try:
            return decoder.decode(raw)
        except _UNREADABLE as error:
            self.rejected.append(SpanRejection(place, _words(error)))
            return None

    @staticmethod
    def _lenient(raw: msgspec.Raw) -> _Attributed | None:
        """A resource or scope; one that cannot be read costs no span."""
        try:
            read: _Attributed | None = _ATTRIBUTED.decode(raw)
        except _UNREADABLE:
            return None
        return read


def _words(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _span(sent: _Span, resource: Attributes, scope: _Attributed, keep: KeepKey) -> Span:
    status = sent.status or _UNSET
    return Span(
        resource=resource,
        scope_name=scope.name or "",
        scope_version=scope.version or "",
        trace_id=hex_id(sent.trace_id or "", TRACE_ID_HEX_DIGITS, "traceId"),
        span_id=hex_id(sent.span_id or "", SPAN_ID_HEX_DIGITS, "spanId"),
        parent_span_id=parent_id(sent.parent_span_id or ""),
        name=sent.name or "",
        start_unix_nano=unix_nano(sent.start_time_unix_nano, "startTimeUnixNano"),
        end_unix_nano=unix_nano(sent.end_time_unix_nano, "endTimeUnixNano"),
        attributes=_attributes(sent.attributes, keep),
        moments=_moments(sent.events, keep) if sent.events else {},
        is_error=status.code in STATUS_ERROR,
        status_message=status.message or "",
    )


def _moments(events: list[_Event], keep: KeepKey) -> dict[str, Moment]:
    found: dict[str, Moment] = {}
    for event in events:
        if event.name and event.name not in found:
            attributes = _attributes(event.attributes, keep)
            nano = unix_nano(event.time_unix_nano, "timeUnixNano")
            found[event.name] = Moment(nano, attributes)
    return found


def _attributes(pairs: list[_Pair] | None, keep: KeepKey) -> Attributes:
    found: Attributes = {}
    for pair in pairs or ():
        if keep(pair.key):
            value = _VALUE.decode(pair.value)
            if value is not None:
                found[pair.key] = _plain(value)
    return found


def _plain(value: _Value) -> Any:
    if value.string_value is not None:
        return value.string_value
    if value.int_value is not None:
        return int(value.int_value)
    if value.bool_value is not None:
        return value.bool_value
    if value.double_value is not None:
        return _number(value.double_value)
    if value.array_value is not None:
        return [_plain(item) for item in value.array_value.values or []]
    if value.kvlist_value is not None:
        pairs = value.kvlist_value.values or []
        return {pair.key: _plain(pair.value) for pair in pairs if pair.value}
    return None


def _number(value: float | str) -> float | None:
    """protobuf writes what JSON has no number for as a text: NaN, Infinity, -Infinity."""
    try:
        return float(value)
    except ValueError:
        return None
