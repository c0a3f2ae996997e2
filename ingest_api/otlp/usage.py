"""Token counts of a span, made inclusive: `input_tokens` with what was cached, `output_tokens` with
reasoning. What dialects mean by their counts is in `docs/opentelemetry.md`."""

from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from ingest_api.events import ABSENT, MAX_USAGE_DETAILS_BYTES, ServiceTier, UsageSource
from ingest_api.otlp import aliases
from ingest_api.otlp.aliases import Attributes
from ingest_api.otlp.dialects import CHAT, is_openlit
from ingest_api.otlp.spans import Span

# They count a cached token in no other count, and OpenLIT hands their counts on as they are.
CACHE_EXCLUSIVE_PROVIDERS: Final = frozenset({"anthropic", "aws.bedrock"})
TIERS: Final[dict[str, ServiceTier]] = {
    "batch": "batch",
    "default": "default",
    "flex": "flex",
    "on_demand": "default",
    "priority": "priority",
    "standard": "default",
}
# Dialects whose input holds what was cached, whatever the provider says. OpenRouter reports tokens
# that it read and wrote in both counts, so that only a count above the input tells of an exception.
CACHE_INCLUSIVE_SCOPES: Final = ("logfire.", "openinference.", "opentelemetry.", "pydantic-ai")
MAX_DIGITS: Final = 20
# A tuple: `isinstance` takes three times as long with a union.
COUNT_TYPES: Final = (int, float, str)
Paths: TypeAlias = tuple[tuple[str, ...], ...]
# Where a usage object has what no attribute has: the provider's, or Langfuse's.
INPUT_PATHS: Final[Paths] = (("input",),)
OUTPUT_PATHS: Final[Paths] = (("output",),)
TOTAL_PATHS: Final[Paths] = (("total",),)
CACHE_READ_PATHS: Final[Paths] = (
    ("cache_read_input_tokens",), ("cacheReadInputTokens",), ("cachedContentTokenCount",),
    ("prompt_tokens_details", "cached_tokens"), ("input_tokens_details", "cached_tokens"),
    ("prompt_cache_hit_tokens",), ("input_cache_read",),
)  # fmt: skip
CACHE_WRITE_PATHS: Final[Paths] = (
    ("cache_creation_input_tokens",), ("cacheWriteInputTokens",), ("cacheCreationInputTokens",),
    ("prompt_tokens_details", "cache_write_tokens"), ("input_cache_creation",),
)  # fmt: skip
CACHE_WRITE_1H_PATHS: Final[Paths] = (("cache_creation", "ephemeral_1h_input_tokens"),)
REASONING_PATHS: Final[Paths] = (
    ("completion_tokens_details", "reasoning_tokens"),
    ("output_tokens_details", "reasoning_tokens"), ("thoughtsTokenCount",),
    ("output_reasoning",),
)  # fmt: skip
# A usage object with one of these counts its input without them.
EXCLUSIVE_INPUT_KEYS: Final = ("input_tokens", "inputTokens")
EXCLUSIVE_CACHE_KEYS: Final = (
    "cache_read_input_tokens", "cache_creation_input_tokens", "cacheReadInputTokens",
    "cacheWriteInputTokens",
)  # fmt: skip


class Cached(NamedTuple):
    """Input tokens that were read from a cache and written to it."""

    read: int
    write: int


class Usage(NamedTuple):
    """The fields of an event that tell what a call used, under their names there."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read_input_tokens: int | None
    cache_write_input_tokens: int | None
    cache_write_1h_input_tokens: int | None
    reasoning_output_tokens: int | None
    input_audio_tokens: int | None
    output_audio_tokens: int | None
    usage_details: msgspec.Raw
    usage_source: UsageSource | None
    service_tier: ServiceTier | None
    reported_cost_usd: Decimal | None


def usage_of(span: Span, operation: str, provider: str, is_stream: bool | None) -> Usage:
    """What a call used, as far as its span tells."""
    attributes = span.attributes
    metadata = _json_object(attributes.get(aliases.PROVIDER_METADATA))
    verbatim = _verbatim(attributes, metadata)
    sent_input = _count(span, "input_tokens", verbatim, INPUT_PATHS)
    sent_output = _count(span, "output_tokens", verbatim, OUTPUT_PATHS)
    total = _count(span, "total_tokens", verbatim, TOTAL_PATHS)
    read = _count(span, "cache_read_input_tokens", verbatim, CACHE_READ_PATHS)
    write = _count(span, "cache_write_input_tokens", verbatim, CACHE_WRITE_PATHS)
    reasoning = _count(span, "reasoning_output_tokens", verbatim, REASONING_PATHS)
    cached = Cached(read or 0, write or 0)
    is_exclusive = (
        (is_openlit(span) and provider in CACHE_EXCLUSIVE_PROVIDERS)
        or _is_exclusive(sent_input, verbatim)
        or _is_too_small(span, sent_input or 0, cached)
        or total == (sent_input or 0) + (sent_output or 0) + sum(cached)
    )
    return Usage(
        input_tokens=sent_input + sum(cached)
        if sent_input is not None and is_exclusive
        else sent_input,
        output_tokens=_inclusive_output(sent_input, sent_output, reasoning, total),
        cache_read_input_tokens=read,
        cache_write_input_tokens=write,
        cache_write_1h_input_tokens=_count(
            span, "cache_write_1h_input_tokens", verbatim, CACHE_WRITE_1H_PATHS
        ),
        reasoning_output_tokens=reasoning,
        input_audio_tokens=_integer(span.facts.get("input_audio_tokens")),
        output_audio_tokens=_integer(span.facts.get("output_audio_tokens")),
        usage_details=_details(attributes, verbatim),
        usage_source=_source(span, operation, is_stream),
        service_tier=_service_tier(attributes, metadata, verbatim),
        reported_cost_usd=_cost(provider, verbatim),
    )


def _is_too_small(span: Span, sent_input: int, cached: Cached) -> bool:
    """Whether the input cannot hold what is said to be part of it."""
    is_known = span.scope_name.startswith(CACHE_INCLUSIVE_SCOPES)
    return sent_input < (max(cached) if is_known else sum(cached))


def _inclusive_output(
    sent_input: int | None, sent: int | None, reasoning: int | None, total: int | None
) -> int | None:
    """With reasoning, where the total shows that it was left out, as Gemini does."""
    if sent is None or not reasoning or total != (sent_input or 0) + sent + reasoning:
        return sent
    return sent + reasoning


def _is_exclusive(sent_input: int | None, verbatim: Attributes) -> bool:
    """Whether the dialect handed on an input that the provider counts without the cache."""
    if not verbatim or verbatim.keys().isdisjoint(EXCLUSIVE_CACHE_KEYS):
        return False
    return any(verbatim.get(key) == sent_input for key in EXCLUSIVE_INPUT_KEYS)


def _count(span: Span, fact: str, verbatim: Attributes, paths: Paths) -> int | None:
    count = span.facts.get(fact)
    if type(count) is int:
        return count
    count = _integer(count)
    return _at(verbatim, paths) if count is None else count


def _at(verbatim: Attributes, paths: Paths) -> int | None:
    for path in paths if verbatim else ():
        value: Any = verbatim
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        count = _integer(value)
        if count is not None:
            return count
    return None


def _integer(value: Any) -> int | None:
    # The usual cases first: this is asked ten times for each call.
    if value is None or type(value) is int:
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and len(value) <= MAX_DIGITS and value.isascii() and value.isdigit():
        return int(value)
    return None


def _json_object(value: Any) -> Attributes:
    if isinstance(value, dict):
        return value
    if not isinstance(value, str) or not value.startswith("{"):
        return {}
    try:
        decoded = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _verbatim(attributes: Attributes, metadata: Attributes) -> Attributes:
    """The provider's usage object, or Langfuse's."""
    raw = _json_object(attributes.get(aliases.RAW_USAGE)) or _usage_in(metadata)
    return raw or _json_object(attributes.get(aliases.LANGFUSE_USAGE))


def _usage_in(metadata: Attributes) -> Attributes:
    """Vercel keeps what the provider said under its name: `{"anthropic": {"usage": {...}}}`."""
    for said in metadata.values():
        for key in ("usage", "usageMetadata"):
            if isinstance(said, dict) and isinstance(said.get(key), dict):
                found: Attributes = said[key]
                return found
    return {}


def _details(attributes: Attributes, verbatim: Attributes) -> msgspec.Raw:
    """The provider's object where the span has it, else the counts as they were sent."""
    sent = verbatim or {
        name: value
        for name, value in attributes.items()
        if name in aliases.COUNTS and isinstance(value, COUNT_TYPES)
    }
    try:
        encoded = msgspec.json.encode(sent) if sent else b""
    except RecursionError:
        return ABSENT
    return msgspec.Raw(encoded) if 0 < len(encoded) <= MAX_USAGE_DETAILS_BYTES else ABSENT


def _source(span: Span, operation: str, is_stream: bool | None) -> Literal["estimated"] | None:
    """OpenLIT counts streamed Chat Completions with a tokenizer of its own."""
    if not (is_stream and operation == CHAT and is_openlit(span)):
        return None
    return "estimated" if aliases.OPENLIT_CHAT_COMPLETIONS_ONLY in span.attributes else None


def _service_tier(
    attributes: Attributes, metadata: Attributes, verbatim: Attributes
) -> ServiceTier | None:
    said = [attributes[name] for name in aliases.SERVICE_TIER if name in attributes]
    said += [part.get("serviceTier") for part in metadata.values() if isinstance(part, dict)]
    said.append(verbatim.get("service_tier"))
    for tier in said:
        if isinstance(tier, str) and tier in TIERS:
            return TIERS[tier]
    return None


def _cost(provider: str, verbatim: Attributes) -> Decimal | None:
    """OpenRouter tells what it charges. What instrumentations compute themselves is no report."""
    cost = verbatim.get("cost") if provider == "openrouter" else None
    if type(cost) not in (int, float):
        return None
    try:
        return round(Decimal(repr(cost)), 18)
    except InvalidOperation:
        return None
