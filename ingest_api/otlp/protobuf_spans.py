"""OTLP/protobuf. Spans are cut out of the request and parsed one by one: parsed in one piece, a
single text that is no UTF-8 would cost the whole request."""

from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

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
)


def _outline_class() -> Any:
    """A message whose fields 1 and 2 are repeated bytes.

    It reads an ExportTraceServiceRequest as its resource spans (1), resource spans as their
    resource (1) and scope spans (2), and scope spans as their scope (1) and spans (2).
    """
    file = FileDescriptorProto(name="llmscope/outline.proto", package="llmscope")
    message = file.message_type.add(name="Outline")
    for number, name in enumerate(("first", "second"), start=1):
        message.field.add(
            name=name,
            number=number,
            type=FieldDescriptorProto.TYPE_BYTES,
            label=FieldDescriptorProto.LABEL_REPEATED,
        )
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("llmscope.Outline"))


_Outline: Final = _outline_class()
_NOT_PROTOBUF: Final = "is no valid protobuf message"


def decode_protobuf(body: bytes, keep: KeepKey) -> Decoded:
    """Spans of an ExportTraceServiceRequest, with the attributes that `keep` names.

    Raises:
        MalformedBodyError: the body as a whole is no such request.
    """
    try:
        request = _Outline.FromString(body)
    except DecodeError:
        raise MalformedBodyError(f"The body {_NOT_PROTOBUF}.") from None
    spans: list[Span] = []
    rejected: list[SpanRejection] = []
    for index, part in enumerate(request.first):
        place = f"resource_spans[{index}]"
        try:
            _read_resource(part, keep, place, spans, rejected)
        except DecodeError:
            rejected.append(SpanRejection(place, _NOT_PROTOBUF))
    return Decoded(spans, rejected)


def _read_resource(
    body: bytes, keep: KeepKey, above: str, spans: list[Span], rejected: list[SpanRejection]
) -> None:
    group = _Outline.FromString(body)
    resource = facts_of(_attributes(_lenient(Resource(), group.first).attributes, keep))
    for index, part in enumerate(group.second):
        place = f"{above}.scope_spans[{index}]"
        try:
            scope_spans = _Outline.FromString(part)
        except DecodeError:
            rejected.append(SpanRejection(place, _NOT_PROTOBUF))
            continue
        scope = _lenient(InstrumentationScope(), scope_spans.first)
        for number, span in enumerate(scope_spans.second):
            try:
                spans.append(_span(trace_pb2.Span.FromString(span), resource, scope, keep))
            except DecodeError:
                rejected.append(SpanRejection(f"{place}.spans[{number}]", _NOT_PROTOBUF))
            except SpanError as error:
                rejected.append(SpanRejection(f"{place}.spans[{number}]", str(error)))


def _lenient(message: Any, parts: Iterable[bytes]) -> Any:
    """A resource or scope; one that cannot be read costs no span."""
    try:
        for part in parts:
            message.MergeFromString(part)
    except DecodeError:
        message.Clear()
    return message


def _span(
    sent: trace_pb2.Span, resource: Attributes, scope: InstrumentationScope, keep: KeepKey
) -> Span:
    return Span(
        resource=resource,
        scope_name=scope.name,
        scope_version=scope.version,
        trace_id=hex_id(sent.trace_id.hex(), TRACE_ID_HEX_DIGITS, "trace_id"),
        span_id=hex_id(sent.span_id.hex(), SPAN_ID_HEX_DIGITS, "span_id"),
        parent_span_id=parent_id(sent.parent_span_id.hex()),
        name=sent.name,
        start_unix_nano=sent.start_time_unix_nano,
        end_unix_nano=sent.end_time_unix_nano,
        attributes=_attributes(sent.attributes, keep),
        moments=_moments(sent.events, keep) if sent.events else {},
        is_error=sent.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        status_message=sent.status.message,
    )


def _moments(events: Iterable[trace_pb2.Span.Event], keep: KeepKey) -> dict[str, Moment]:
    found: dict[str, Moment] = {}
    for event in events:
        if event.name not in found:
            found[event.name] = Moment(event.time_unix_nano, _attributes(event.attributes, keep))
    return found


def _attributes(pairs: Iterable[KeyValue], keep: KeepKey) -> Attributes:
    # Most values are texts that are not empty: they are told apart without a call.
    return {
        key: (value := pair.value).string_value or _plain(value)
        for pair in pairs
        if keep(key := pair.key)
    }


def _plain(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "int_value":
            return value.int_value
        case "bool_value":
            return value.bool_value
        case "double_value":
            return value.double_value
        case "array_value":
            return [_plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {pair.key: _plain(pair.value) for pair in value.kvlist_value.values}
        case _:
            return None
