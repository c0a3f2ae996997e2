"""Spans -> events: one for each model call, none for what surrounds or repeats one."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from typing import Any, Final
from uuid import UUID

import msgspec

from ingest_api.events import MAX_DURATION_SECONDS, Event
from ingest_api.otlp import aliases
from ingest_api.otlp.aliases import text_of
from ingest_api.otlp.content import NO_MESSAGES, messages_of
from ingest_api.otlp.dialects import (
    is_own_failure,
    openlit_client,
    openlit_failed_model,
    operation_of,
)
from ingest_api.otlp.duplicates import Call, without_duplicates
from ingest_api.otlp.providers import UNKNOWN, canonical, provider_of
from ingest_api.otlp.spans import Span
from ingest_api.otlp.usage import usage_of

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION_AND_VARIANT: Final = 0xF << 76 | 0x3 << 62
_UUID5: Final = 0x5 << 76 | 0x2 << 62
NANOS_PER_SECOND: Final = 1_000_000_000
# A text that is longer than the contract allows is cut: a long label never costs a call.
MAX_LABEL, MAX_NAME, MAX_MESSAGE, MAX_REASONS = 128, 256, 2000, 32
# What OpenTelemetry says for an error that nobody named.
OTHER_ERROR: Final = "_OTHER"
UNSET_SERVICE: Final = "unknown_service"
# How the clients of OpenAI and Anthropic begin: "Error code: 429 - ...".
_HTTP_STATUS: Final = re.compile(r"^(?:\w+: )?Error code: ([1-5]\d\d)\b")


class _Parameters(msgspec.Struct):
    """What was asked for, as far as it matters here."""

    model: str | None = None
    stream: bool | None = None


_PARAMETERS: Final = msgspec.json.Decoder(_Parameters)
_NO_PARAMETERS: Final = _Parameters()


def map_spans(spans: Iterable[Span], project_id: UUID, *, with_content: bool = False) -> list[Call]:
    """The model calls among `spans`, in their order.

    Args:
        with_content: Whether prompts and completions go into the events. The spans must then have
            been decoded with `keep_all`.
    """
    calls = []
    for span in spans:
        operation = operation_of(span)
        if operation is not None:
            calls.append(Call(span, _event(span, operation, project_id, with_content)))
    return without_duplicates(calls)


def event_id_of(project_id: UUID, trace_id: str, span_id: str) -> UUID:
    """The same for the same span, so that what an exporter sends again is the same event.

    A UUIDv5 (RFC 9562, section 5.5), made in a third of the time that `uuid.uuid5` takes.
    """
    name = project_id.bytes + f"{trace_id}:{span_id}".encode()
    digest = int.from_bytes(sha1(name, usedforsecurity=False).digest()[:16], "big")
    return UUID(int=digest & ~_VERSION_AND_VARIANT | _UUID5)


def _event(span: Span, operation: str, project_id: UUID, with_content: bool) -> Event:
    facts, resource = span.facts, span.resource
    parameters = _parameters(span)
    is_stream = _is_stream(span, parameters)
    provider = _provider(span)
    usage = usage_of(span, operation, provider, is_stream)
    error_type, error_message = _error(span)
    start_nano, end_nano = _times(span)
    request_model, response_model = _models(span, parameters)
    messages = messages_of(span.attributes) if with_content else NO_MESSAGES
    return Event(
        **usage._asdict(),
        **messages._asdict(),
        event_id=event_id_of(project_id, span.trace_id, span.span_id),
        provider_name=_cut(provider, MAX_LABEL) or UNKNOWN,
        operation_name=operation,
        request_model=_cut(request_model, MAX_NAME),
        response_model=_cut(response_model, MAX_NAME),
        started_at=_instant(start_nano),
        ended_at=_ended_at(start_nano, end_nano),
        time_to_first_chunk_seconds=_first_chunk_seconds(span, is_stream),
        is_stream=is_stream,
        response_id=_cut(text_of(facts, "response_id"), MAX_NAME),
        response_finish_reasons=_finish_reasons(facts.get("response_finish_reasons")),
        error_type=_cut(error_type, MAX_LABEL),
        error_message=_cut(error_message, MAX_MESSAGE),
        http_status_code=_http_status(span, error_message) if error_type else None,
        user_id=_of_both(span, "user_id", MAX_NAME),
        conversation_id=_of_both(span, "conversation_id", MAX_NAME),
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        environment=_of_both(span, "environment", MAX_LABEL),
        service_name=_service(text_of(resource, "service_name") or text_of(facts, "service_name")),
        sdk_name=_cut(span.scope_name, MAX_LABEL),
        sdk_version=_cut(span.scope_version, MAX_LABEL),
    )


def _cut(value: Any, limit: int) -> str | None:
    """At most `limit` characters; Postgres stores no U+0000."""
    return str(value).replace("\0", "")[:limit] or None if value is not None else None


def _of_both(span: Span, fact: str, limit: int) -> str | None:
    return _cut(span.facts.get(fact, span.resource.get(fact)), limit)


def _service(name: str | None) -> str | None:
    return None if name is None or name.startswith(UNSET_SERVICE) else _cut(name, MAX_LABEL)


def _parameters(span: Span) -> _Parameters:
    sent = text_of(span.facts, "parameters")
    if sent is None:
        return _NO_PARAMETERS
    try:
        return _PARAMETERS.decode(sent)
    except (msgspec.DecodeError, RecursionError):
        return _NO_PARAMETERS


def _provider(span: Span) -> str:
    found = provider_of(span)
    client = openlit_client(span) if found == UNKNOWN else None
    return canonical(client) if client else found


def _models(span: Span, parameters: _Parameters) -> tuple[str | None, str | None]:
    """The model that was asked for and the one that answered."""
    facts = span.facts
    asked = text_of(facts, "request_model") or parameters.model
    answered = text_of(facts, "response_model")
    either = text_of(facts, "openinference_model")
    if span.is_error:
        return asked or either or openlit_failed_model(span), answered
    return asked, answered or either


def _is_stream(span: Span, parameters: _Parameters) -> bool | None:
    attributes = span.attributes
    said = span.facts.get("is_stream")
    if isinstance(said, bool):
        return said
    if isinstance(said, str) and said.lower() in ("true", "false"):
        return said.lower() == "true"
    if parameters.stream is not None:
        return parameters.stream
    if any(name in span.moments for name in aliases.FIRST_CHUNK_MOMENTS):
        return True
    if attributes.get(aliases.LOGFIRE_SPAN_TYPE) == "log":
        return True
    vercel = text_of(attributes, aliases.VERCEL_OPERATION)
    return vercel.endswith(".doStream") if vercel else None


def _first_chunk_seconds(span: Span, is_stream: bool | None) -> float | None:
    if is_stream is False:
        return None
    for fact, unit in (
        ("first_chunk_seconds", 1.0),
        ("first_chunk_milliseconds", 0.001),
    ):
        sent = _number(span.facts.get(fact))
        if sent is not None:
            return _in_range(sent * unit)
    for name in aliases.FIRST_CHUNK_MOMENTS:
        moment = span.moments.get(name)
        if moment and span.start_unix_nano:
            return _in_range((moment.unix_nano - span.start_unix_nano) / NANOS_PER_SECOND)
    return None


def _in_range(seconds: float) -> float | None:
    return seconds if 0 <= seconds <= MAX_DURATION_SECONDS else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _times(span: Span) -> tuple[int, int]:
    """Start and end; a span with only one of them has both there."""
    start, end = span.start_unix_nano or span.end_unix_nano, span.end_unix_nano
    streamed = _number(span.attributes.get(aliases.LOGFIRE_STREAM_SECONDS))
    if streamed and span.attributes.get(aliases.LOGFIRE_SPAN_TYPE) == "log":
        seconds = _in_range(streamed) or 0
        return max(0, start - int(seconds * NANOS_PER_SECOND)), start
    return start, max(start, end)


def _instant(unix_nano: int) -> datetime:
    return EPOCH + timedelta(microseconds=unix_nano // 1000)


def _ended_at(start_nano: int, end_nano: int) -> datetime | None:
    is_told = end_nano - start_nano <= MAX_DURATION_SECONDS * NANOS_PER_SECOND
    return _instant(end_nano) if is_told else None


def _finish_reasons(sent: Any) -> list[str] | None:
    if isinstance(sent, str) and sent.startswith("["):
        try:
            sent = msgspec.json.decode(sent, type=list[str])
        except (msgspec.DecodeError, RecursionError):
            return None
    reasons = sent if isinstance(sent, list) else [sent]
    cut = [_cut(reason, MAX_LABEL) for reason in reasons[:MAX_REASONS] if isinstance(reason, str)]
    return [reason for reason in cut if reason] or None


def _error(span: Span) -> tuple[str | None, str | None]:
    """Class and words of the failure, None where there was none."""
    said = text_of(span.facts, "error_type")
    if not (span.is_error or said) or is_own_failure(span):
        return None, None
    moment = span.moments.get(aliases.EXCEPTION_MOMENT)
    raised = moment.attributes if moment else {}
    kind = text_of(raised, aliases.EXCEPTION_TYPE)
    message = span.status_message or text_of(raised, aliases.EXCEPTION_MESSAGE)
    return said or (kind.rpartition(".")[2] if kind else None) or OTHER_ERROR, message


def _http_status(span: Span, message: str | None) -> int | None:
    sent = span.facts.get("http_status_code")
    if isinstance(sent, int):
        return sent if 100 <= sent <= 599 else None
    found = _HTTP_STATUS.match(message) if message else None
    return int(found[1]) if found else None
