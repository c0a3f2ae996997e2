"""The event contract: one event is one model call (or embedding, rerank, image ... call).

Names follow the OpenTelemetry GenAI semantic conventions with `gen_ai.` and `usage.` dropped, dots
turned into underscores and the unit added where it was missing. Token counts are inclusive:
`input_tokens` contains cached tokens and `output_tokens` contains reasoning. A sender that cannot
normalise says so with `usage_semantics`.

Unknown fields are rejected, never dropped: what has no field of its own belongs in `tags`.
"""

import json
import os
import re
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

MAX_TOKENS: Final = 1_000_000_000
MAX_DURATION_SECONDS: Final = 7 * 24 * 3600
MAX_TAGS: Final = 32
MAX_TAG_KEY_CHARACTERS: Final = 64
MAX_TAG_VALUE_CHARACTERS: Final = 256
MAX_USAGE_DETAILS_BYTES: Final = 16 * 1024
MAX_MESSAGES_BYTES: Final = 1024 * 1024
# What the readers of jsonb manage without growing their stack: Python's gives up at 330 or so.
MAX_JSON_DEPTH: Final = 100
_ODD_NUMBER: Final = re.compile(rb"[eE][+-]?[0-9]{3}|[0-9]{300}")
# jsonb keeps 16,383 digits after the point, and Python reads no integer of more than 4,300.
MAX_NUMBER_CHARACTERS: Final = 400
# With all digits made 0 it takes 0.1 us to see that no such number is there, the pattern 1 us.
_DIGITS: Final = bytes.maketrans(b"123456789E", b"000000000e")
_MANY_DIGITS: Final = b"0" * 300
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKETS: Final = re.compile(rb"[\[\]{}]")
MAX_REPORTED_COST_USD: Final = Decimal(1_000_000)
# Each day of started_at is a chunk of the hypertable, so the range must be bounded.
EARLIEST_STARTED_AT: Final = datetime(2020, 1, 1, tzinfo=UTC)
MAX_CLOCK_SKEW: Final = timedelta(days=1)

Label = Annotated[str, Meta(min_length=1, max_length=128)]
Model = Annotated[str, Meta(min_length=1, max_length=256)]
Identifier = Annotated[str, Meta(min_length=1, max_length=256)]
Tokens = Annotated[int, Meta(ge=0, le=MAX_TOKENS)]
Seconds = Annotated[float, Meta(ge=0, le=MAX_DURATION_SECONDS)]
Timestamp = Annotated[datetime, Meta(tz=True)]
Tags = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=MAX_TAG_KEY_CHARACTERS)],
        Annotated[str, Meta(max_length=MAX_TAG_VALUE_CHARACTERS)],
    ],
    Meta(max_length=MAX_TAGS),
]
UsageSource = Literal["provider", "estimated", "missing"]
UsageSemantics = Literal["inclusive", "cache_exclusive"]
ServiceTier = Literal["default", "flex", "priority", "batch"]

ABSENT: Final = msgspec.Raw()


# Nothing in an event points back at it, and to have the garbage collector look at each of thousands
# costs the loader 4 us an event.
class Event(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One model call as a sender reports it.

    Attributes:
        provider_name: OpenTelemetry `gen_ai.provider.name`: openai, anthropic, aws.bedrock, ...
        request_model: The model that was asked for. One of the two models is required.
        response_model: The model that answered. Calls are priced by it, else by `request_model`.
        started_at: When the call began, RFC 3339 with an offset, 2020-01-01 to one day ahead.
        event_id: UUID made by the sender. (project, event_id, started_at) is the identity: the
            same event sent twice is one row. Without one the server makes one, and the sender
            cannot retry safely.
        operation_name: OpenTelemetry `gen_ai.operation.name`.
        ended_at: When the last byte arrived. Not before `started_at`.
        duration_seconds: Wall time of the call, 0 to 7 days. `ended_at` serves as well.
        time_to_first_chunk_seconds: For streams: seconds from start to the first chunk.
        is_stream: Whether the answer was streamed.
        input_tokens: All input, cached tokens included.
        output_tokens: All output, reasoning tokens included.
        cache_read_input_tokens: The part of `input_tokens` that was read from a cache.
        cache_write_input_tokens: The part of `input_tokens` that was written to a cache.
        cache_write_1h_input_tokens: The part of `cache_write_input_tokens` kept for one hour.
        reasoning_output_tokens: The part of `output_tokens` spent on reasoning.
        input_audio_tokens: The part of `input_tokens` that was audio.
        output_audio_tokens: The part of `output_tokens` that was audio.
        input_image_tokens: The part of `input_tokens` that was images.
        usage_details: The provider's usage object, verbatim, at most 16 KiB.
        usage_source: Who counted: the provider, an estimate, or nobody (`missing`). Default:
            `missing` where neither input_tokens nor output_tokens is given, else `provider`.
        usage_semantics: `inclusive` (default), or `cache_exclusive` where `input_tokens` lacks
            the cached tokens because the sender could not normalise.
        service_tier: Price class of the call.
        response_id: The provider's id of the answer.
        response_finish_reasons: Why generation stopped, one per choice.
        error_type: Low-cardinality class of the failure (`timeout`, `429`); absent = success.
        error_message: The failure in words, at most 2,000 characters.
        http_status_code: The provider's HTTP status.
        user_id: The end user the call was made for.
        conversation_id: The session the call belongs to.
        trace_id: Trace of the call, 32 hex digits in OpenTelemetry.
        span_id: Span of the call, 16 hex digits in OpenTelemetry.
        parent_span_id: Parent of that span.
        environment: Deployment environment, such as `production`.
        service_name: The application that made the call.
        tags: Flat string map, at most 32 keys of 64 and values of 256 characters.
        reported_cost_usd: What the provider or gateway says the call cost, in USD; a number is
            taken like the string, which keeps every digit.
        input_messages: The prompt (opt-in, sensitive), JSON array, at most 1 MiB; left out
            where the project stores none (`llmscope projects content`).
        output_messages: The completion (opt-in, sensitive), JSON array, at most 1 MiB; left out
            where the project stores none (`llmscope projects content`).
        sdk_name: Name of the sending library.
        sdk_version: Version of the sending library.
    """

    provider_name: Label
    started_at: Timestamp
    request_model: Model | None = None
    response_model: Model | None = None
    event_id: UUID | None = None
    operation_name: Label = "chat"
    ended_at: Timestamp | None = None
    duration_seconds: Seconds | None = None
    time_to_first_chunk_seconds: Seconds | None = None
    is_stream: bool | None = None
    input_tokens: Tokens | None = None
    output_tokens: Tokens | None = None
    cache_read_input_tokens: Tokens | None = None
    cache_write_input_tokens: Tokens | None = None
    cache_write_1h_input_tokens: Tokens | None = None
    reasoning_output_tokens: Tokens | None = None
    input_audio_tokens: Tokens | None = None
    output_audio_tokens: Tokens | None = None
    input_image_tokens: Tokens | None = None
    usage_details: msgspec.Raw = ABSENT
    usage_source: UsageSource | None = None
    usage_semantics: UsageSemantics = "inclusive"
    service_tier: ServiceTier | None = None
    response_id: Identifier | None = None
    response_finish_reasons: Annotated[list[Label], Meta(max_length=32)] | None = None
    error_type: Label | None = None
    error_message: Annotated[str, Meta(max_length=2000)] | None = None
    http_status_code: Annotated[int, Meta(ge=100, le=599)] | None = None
    user_id: Identifier | None = None
    conversation_id: Identifier | None = None
    trace_id: Identifier | None = None
    span_id: Identifier | None = None
    parent_span_id: Identifier | None = None
    environment: Label | None = None
    service_name: Label | None = None
    tags: Tags | None = None
    reported_cost_usd: Decimal | None = None
    input_messages: msgspec.Raw = ABSENT
    output_messages: msgspec.Raw = ABSENT
    sdk_name: Label | None = None
    sdk_version: Label | None = None


class ContractError(ValueError):
    """An event breaks a rule that its field types cannot express.

    Attributes:
        field: Name of the guilty field.
        reason: What is wrong and how to mend it. Never quotes the value.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def check(event: Event, now: datetime) -> None:
    """Raise `ContractError` where fields that are each well-formed do not fit together."""
    if event.request_model is None and event.response_model is None:
        raise ContractError("request_model", "is missing: send request_model or response_model")
    _check_times(event, now)
    _check_cost(event.reported_cost_usd)
    _check_json(event.usage_details, "usage_details", b"{", "an object", MAX_USAGE_DETAILS_BYTES)
    _check_json(event.input_messages, "input_messages", b"[", "an array", MAX_MESSAGES_BYTES)
    _check_json(event.output_messages, "output_messages", b"[", "an array", MAX_MESSAGES_BYTES)


def _check_times(event: Event, now: datetime) -> None:
    if not EARLIEST_STARTED_AT <= event.started_at <= now + MAX_CLOCK_SKEW:
        raise ContractError(
            "started_at", "must lie between 2020-01-01 and one day ahead: check the sender's clock"
        )
    if event.ended_at is None:
        return
    if event.ended_at < event.started_at:
        raise ContractError("ended_at", "must not lie before started_at")
    if event.ended_at - event.started_at > timedelta(seconds=MAX_DURATION_SECONDS):
        raise ContractError("ended_at", "must lie within 7 days of started_at")


def _check_cost(cost: Decimal | None) -> None:
    if cost is None:
        return
    if not cost.is_finite() or not 0 <= cost <= MAX_REPORTED_COST_USD:
        raise ContractError(
            "reported_cost_usd", f"must be a number of USD from 0 to {MAX_REPORTED_COST_USD}"
        )
    exponent = cost.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -18:
        raise ContractError("reported_cost_usd", "must have at most 18 decimal places")


def _check_json(raw: msgspec.Raw, field: str, opening: bytes, kind: str, max_bytes: int) -> None:
    if raw is ABSENT:
        return
    text = bytes(raw)
    if text == b"null":
        return
    if not text.startswith(opening):
        raise ContractError(field, f"must be {kind}")
    if len(text) > max_bytes:
        raise ContractError(field, f"must be at most {max_bytes} bytes of JSON")
    try:
        msgspec.json.decode(text)
        if _has_odd_number(text):
            json.loads(text, parse_float=_check_number, parse_int=_check_number)
    except (msgspec.DecodeError, ValueError, RecursionError):
        reason = "must be JSON of valid text and of numbers that a double holds"
        raise ContractError(field, reason) from None
    if text.count(b"{") + text.count(b"[") > MAX_JSON_DEPTH and _depth(text) > MAX_JSON_DEPTH:
        raise ContractError(field, f"must be nested at most {MAX_JSON_DEPTH} deep")


def _has_odd_number(text: bytes) -> bool:
    digits = text.translate(_DIGITS)
    may_have = b"0e" in digits or _MANY_DIGITS in digits
    return may_have and _ODD_NUMBER.search(text) is not None


def _check_number(text: str) -> None:
    """Refuse what a double cannot hold, and what is longer than any double: no reader needs it."""
    exponent = text.lower().partition("e")[2].lstrip("+-0")
    if len(text) > MAX_NUMBER_CHARACTERS or len(exponent) > 3:
        raise ValueError("number too long")
    number = float(text)
    if not isfinite(number) or (number == 0 and Decimal(text) != 0):
        raise ValueError("number out of range")


def _depth(text: bytes) -> int:
    """How deep objects and arrays of well-formed JSON are nested."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def json_text(raw: msgspec.Raw) -> str | None:
    """The JSON text of an optional field, or None where it was left out or null."""
    text = bytes(raw)
    return None if not text or text == b"null" else text.decode()


def usage_source_of(event: Event) -> UsageSource:
    """Who counted the tokens, defaulted as the contract says."""
    if event.usage_source is not None:
        return event.usage_source
    counted = event.input_tokens is not None or event.output_tokens is not None
    return "provider" if counted else "missing"


def new_event_id() -> UUID:
    """A UUIDv7 (RFC 9562, section 5.7): time-ordered, so that index inserts stay local."""
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds << 80) | random_bits
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=value)


def json_schema() -> dict[str, Any]:
    """The contract as JSON Schema 2020-12, with the limits and the units of every field."""
    schema = msgspec.json.schema(_without_raw())["$defs"]["Event"]
    descriptions = _field_descriptions()
    for name, field in schema["properties"].items():
        field["description"] = descriptions[name]
    schema["properties"]["usage_details"]["type"] = ["object", "null"]
    for name in ("input_messages", "output_messages"):
        schema["properties"][name]["type"] = ["array", "null"]
    schema["anyOf"] = [{"required": ["request_model"]}, {"required": ["response_model"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _without_raw() -> type[msgspec.Struct]:
    """`Event` with JSON passed through verbatim typed as anything: a schema has no other word."""
    fields = [
        (f.name, Any, None)
        if f.type is msgspec.Raw
        else (f.name, f.type)
        if f.required
        else (f.name, f.type, f.default)
        for f in msgspec.structs.fields(Event)
    ]
    return msgspec.defstruct("Event", fields, kw_only=True, forbid_unknown_fields=True)


def _field_descriptions() -> dict[str, str]:
    """Read from the docstring of `Event`, so that a field is described in one place."""
    text = (Event.__doc__ or "").split("Attributes:\n", 1)[1]
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith(" " * 12):
            found[name] += " " + line.strip()
        elif line.strip():
            name, _, found[name] = line.strip().partition(": ")
    return found
