"""What an exporter gets back, in the media type of its request.

An error is a google.rpc.Status with its message alone, which is all that OTLP/HTTP uses of it. An
export answer is the same message for traces, logs and metrics but for one field's name in JSON.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from ingest_api.otlp.decoding import PROTOBUF
from ingest_api.otlp.spans import SpanRejection

MAX_NAMED_REJECTIONS: Final = 5


def traces_answer(rejected: Sequence[SpanRejection], media: str) -> bytes:
    """An ExportTraceServiceResponse: empty where nothing was rejected."""
    message = rejection_words(rejected) if rejected else ""
    return _export_answer(len(rejected), message, media)


def warning_answer(message: str, media: str) -> bytes:
    """An export response that accepts everything and says something: exporters log it."""
    return _export_answer(0, message, media)


def status_answer(message: str, media: str) -> bytes:
    """A google.rpc.Status."""
    if media == PROTOBUF:
        # On the wire a Status with a message alone is a partial success with one: field 2, a text.
        status: bytes = ExportTracePartialSuccess(error_message=message).SerializeToString()
        return status
    return msgspec.json.encode({"message": message})


def rejection_words(rejected: Sequence[SpanRejection]) -> str:
    """The first rejections in words. Names places and fields, quotes no values."""
    words = [f"{place}: {reason}" for place, reason in rejected[:MAX_NAMED_REJECTIONS]]
    more = len(rejected) - len(words)
    return "; ".join([*words, f"and {more} more"] if more else words)


def _export_answer(rejected: int, message: str, media: str) -> bytes:
    if media == PROTOBUF:
        answer = ExportTraceServiceResponse()
        if message:
            answer.partial_success.rejected_spans = rejected
            answer.partial_success.error_message = message
        encoded: bytes = answer.SerializeToString()
        return encoded
    partial: dict[str, Any] = {"errorMessage": message} if message else {}
    if rejected:
        # The JSON mapping of protobuf writes 64-bit integers as texts.
        partial["rejectedSpans"] = str(rejected)
    return msgspec.json.encode({"partialSuccess": partial} if partial else {})
