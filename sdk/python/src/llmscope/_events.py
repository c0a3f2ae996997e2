"""Pure: the fields of a call -> an event that the contract takes.

What is too long is cut and what is too large left out: an event that says a little less is worth
more than one that is rejected. `sdk/contract/event.schema.json` holds the limits; a test compares.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from llmscope._options import Event
from llmscope._version import __version__

MAX_TAGS = 32
MAX_TAG_KEY_CHARACTERS = 64
MAX_TAG_VALUE_CHARACTERS = 256
MAX_FINISH_REASONS = 32
MAX_LABEL_CHARACTERS = 128
MAX_USAGE_DETAILS_BYTES = 16 * 1024
MAX_MESSAGES_BYTES = 2**20
MAX_CHARACTERS = {
    "provider_name": 128, "request_model": 256, "response_model": 256, "operation_name": 128,
    "response_id": 256, "error_type": 128, "error_message": 2000, "user_id": 256,
    "conversation_id": 256, "trace_id": 256, "span_id": 256, "parent_span_id": 256,
    "environment": 128, "service_name": 128, "sdk_name": 128, "sdk_version": 128,
}  # fmt: skip
FIELDS = frozenset(
    {
        *MAX_CHARACTERS, "started_at", "event_id", "ended_at", "duration_seconds",
        "time_to_first_chunk_seconds", "is_stream", "input_tokens", "output_tokens",
        "cache_read_input_tokens", "cache_write_input_tokens", "cache_write_1h_input_tokens",
        "reasoning_output_tokens", "input_audio_tokens", "output_audio_tokens",
        "input_image_tokens", "usage_details", "usage_source", "usage_semantics", "service_tier",
        "response_finish_reasons", "http_status_code", "tags", "reported_cost_usd",
        "input_messages", "output_messages",
    }
)  # fmt: skip
_MAX_BYTES = {
    "usage_details": MAX_USAGE_DETAILS_BYTES,
    "input_messages": MAX_MESSAGES_BYTES,
    "output_messages": MAX_MESSAGES_BYTES,
}
# Nothing about them can be too long.
_PLAIN = (int, float, bool, type(None))
_NUL = "\0"
_ESCAPED_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
# Bits of a UUIDv7 (RFC 9562, section 5.7) that its version and variant take.
_VERSION = 0x7 << 76
_VARIANT = 0x2 << 62
_FREE = ~((0xF << 76) | (0x3 << 62))


def new_event_id() -> str:
    """A UUIDv7: ordered by time, so that the ledger's inserts stay local."""
    random_bits = int.from_bytes(os.urandom(10), "big")
    bits = ((time.time_ns() // 1_000_000) << 80 | random_bits) & _FREE | _VERSION | _VARIANT
    digits = f"{bits:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC of seconds since 1970."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def finished(values: Mapping[str, Any]) -> Event:
    """The event of `values`: None left out, limits kept, identity and origin added.

    Raises:
        ValueError: a value belongs to no field, or a required one is missing.
    """
    unknown = values.keys() - FIELDS
    if unknown:
        raise ValueError(f"no fields of an event: {', '.join(sorted(unknown))}; use tags")
    event: Event = {}
    for name, value in values.items():
        fitting = value if type(value) in _PLAIN else _fit(name, value)
        if fitting is not None and fitting != "":
            event[name] = fitting
    if "provider_name" not in event or not event.keys() & {"request_model", "response_model"}:
        raise ValueError("an event needs provider_name, and request_model or response_model")
    event.setdefault("event_id", new_event_id())
    event.setdefault("started_at", timestamp(time.time()))
    event.setdefault("sdk_name", "llmscope-python")
    event.setdefault("sdk_version", __version__)
    return event


def _fit(name: str, value: Any) -> Any:
    if name in MAX_CHARACTERS:
        return _text(value, MAX_CHARACTERS[name])
    if name in _MAX_BYTES:
        return _json(value, _MAX_BYTES[name])
    if name == "tags":
        return fit_tags(value)
    if name == "response_finish_reasons":
        return [_text(reason, MAX_LABEL_CHARACTERS) for reason in value[:MAX_FINISH_REASONS]]
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat()
    return value if isinstance(value, (str, int, float)) else str(value)


def fit_tags(tags: Mapping[Any, Any]) -> dict[str, str] | None:
    """Tags as the contract takes them; None where there are none."""
    fitting = {
        _text(key, MAX_TAG_KEY_CHARACTERS): _text(value, MAX_TAG_VALUE_CHARACTERS)
        for key, value in tags.items()
        if value is not None and str(key)
    }
    return dict(list(fitting.items())[:MAX_TAGS]) or None


def _text(value: Any, max_characters: int) -> str:
    text = value if type(value) is str else str(value)
    return text[:max_characters].replace(_NUL, "") if _NUL in text else text[:max_characters]


def _json(value: Any, max_bytes: int) -> Any:
    """A copy of `value` as plain JSON, None where it is too large: nobody can change it later."""
    try:
        text = encode(value)
    except (ValueError, RecursionError):
        return None
    return json.loads(text) if len(text) <= max_bytes else None


def encode(value: Any) -> bytes:
    """JSON on one line, without what Postgres cannot store; unknown types become their text.

    Raises:
        ValueError: it holds a number that JSON has not, or itself.
    """
    text = json.dumps(
        value, separators=(",", ":"), default=str, ensure_ascii=False, allow_nan=False
    )
    if "\\u0000" in text:
        text = _ESCAPED_NUL.sub(r"\1", text)
    # Half a surrogate pair becomes a question mark.
    return text.encode("utf-8", "replace")
