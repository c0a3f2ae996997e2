"""Pure: the usage that a provider reports in an answer -> the counts of an event.

A body is told by the shape of its usage object, never by who is said to have sent it: gateways and
resellers speak the API of another. Counts come out inclusive: `input_tokens` with what was cached,
`output_tokens` with reasoning, as the event contract has them. `docs/prices.md` lists the shapes.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

Json: TypeAlias = Mapping[str, Any]
Path: TypeAlias = tuple[str, ...]

# Where an answer keeps its usage, and what else of it counts.
ROOTS: Final[tuple[Path, ...]] = (
    ("usage",), ("usageMetadata",), ("usage_metadata",), ("response", "usage"),
    ("result", "usage"), ("message", "usage"), ("x_groq", "usage"), ("meta",),
)  # fmt: skip
MODELS: Final[tuple[Path, ...]] = (
    ("model",), ("modelVersion",), ("model_version",), ("response", "model"), ("result", "model"),
    ("message", "model"),
)  # fmt: skip
TIERS: Final = {
    "batch": "batch",
    "default": "default",
    "flex": "flex",
    "on_demand": "default",
    "priority": "priority",
    "standard": "default",
}
INPUT_DETAILS: Final = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
OUTPUT_DETAILS: Final = (
    "completion_tokens_details", "output_tokens_details", "output_token_details",
)  # fmt: skip
# Only Perplexity says so, and it counts neither reasoning nor citations as output.
PERPLEXITY_KEYS: Final = ("citation_tokens", "num_search_queries")
EXCLUSIVE_KEYS: Final = ("cache_read_input_tokens", "cache_creation_input_tokens")


class BodyUsage(NamedTuple):
    """What an answer says about its usage, under the names of the event's fields.

    Attributes:
        usage_details: The usage object as it was sent, with the `tool_usage` that OpenAI has beside
            it.
    """

    response_model: str | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    cache_write_1h_input_tokens: int
    reasoning_output_tokens: int
    input_audio_tokens: int
    output_audio_tokens: int
    input_image_tokens: int
    service_tier: str | None
    usage_details: dict[str, Any]


class _Counts(NamedTuple):
    """What one shape of usage object gives; a part that it does not tell is 0."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    input_audio: int = 0
    output_audio: int = 0
    input_image: int = 0


def read_usage(body: Json) -> BodyUsage | None:
    """The usage in an answer (or in the last event of a stream), None where it has none."""
    usage = next((found for path in ROOTS if isinstance(found := _at(body, path), dict)), None)
    if usage is None:
        return None
    counts = next((read(usage) for is_shape, read in SHAPES if is_shape(usage)), None)
    if counts is None or (counts.input_tokens is None and counts.output_tokens is None):
        return None
    model = next((m for path in MODELS if isinstance(m := _at(body, path), str)), None)
    tools = body.get("tool_usage")
    details = {**usage, "tool_usage": tools} if isinstance(tools, dict) else dict(usage)
    return BodyUsage(model, *counts, _service_tier(body, usage), details)


def _chat_completions(usage: Json) -> _Counts:
    """OpenAI's Chat Completions and embeddings, and all who answer in their form."""
    prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    reasoning = _detail(usage, OUTPUT_DETAILS, "reasoning_tokens") or _count(
        usage, "reasoning_tokens"
    )
    return _Counts(
        prompt,
        _inclusive_output(usage, prompt, completion, reasoning or 0),
        cache_read=_cached(usage),
        cache_write=_detail(usage, INPUT_DETAILS, "cache_write_tokens") or 0,
        reasoning=reasoning or 0,
        input_audio=_detail(usage, INPUT_DETAILS, "audio_tokens") or 0,
        output_audio=_detail(usage, OUTPUT_DETAILS, "audio_tokens") or 0,
        input_image=_detail(usage, INPUT_DETAILS, "image_tokens") or 0,
    )


def _inclusive_output(
    usage: Json, prompt: int | None, completion: int | None, reasoning: int
) -> int | None:
    """Output with reasoning: xAI counts it apart, as its total shows; Perplexity always does."""
    if completion is None:
        return None
    if any(key in usage for key in PERPLEXITY_KEYS):
        return completion + reasoning + (_count(usage, "citation_tokens") or 0)
    is_apart = _count(usage, "total_tokens") == (prompt or 0) + completion + reasoning
    return completion + reasoning if is_apart else completion


def _cached(usage: Json) -> int:
    """Tokens read from a cache, where they are part of the prompt."""
    found = _detail(usage, INPUT_DETAILS, "cached_tokens")
    others = ("prompt_cache_hit_tokens", "cached_prompt_text_tokens", "cache_read_input_tokens")
    return found or next((count for key in others if (count := _count(usage, key))), 0)


def _responses(usage: Json) -> _Counts:
    """OpenAI's Responses, Realtime and Images."""
    return _Counts(
        _count(usage, "input_tokens"),
        _count(usage, "output_tokens"),
        cache_read=_cached(usage) or _detail(usage, INPUT_DETAILS, "cache_read_input_tokens") or 0,
        cache_write=_detail(usage, INPUT_DETAILS, "cache_write_tokens") or 0,
        reasoning=_detail(usage, OUTPUT_DETAILS, "reasoning_tokens") or 0,
        input_audio=_detail(usage, INPUT_DETAILS, "audio_tokens") or 0,
        output_audio=_detail(usage, OUTPUT_DETAILS, "audio_tokens") or 0,
        input_image=_detail(usage, INPUT_DETAILS, "image_tokens") or 0,
    )


def _anthropic(usage: Json) -> _Counts:
    """Anthropic's Messages, wherever it is sold: its input leaves out what was cached."""
    read = _count(usage, "cache_read_input_tokens") or 0
    write = _count(usage, "cache_creation_input_tokens") or 0
    sent = _count(usage, "input_tokens")
    return _Counts(
        None if sent is None else sent + read + write,
        _count(usage, "output_tokens"),
        cache_read=read,
        cache_write=write,
        cache_write_1h=_integer(_at(usage, ("cache_creation", "ephemeral_1h_input_tokens"))) or 0,
        reasoning=_detail(usage, OUTPUT_DETAILS, "thinking_tokens") or 0,
    )


def _bedrock(usage: Json) -> _Counts:
    """Bedrock's Converse: its input leaves out what was cached."""
    read = _count(usage, "cacheReadInputTokens") or 0
    write = _count(usage, "cacheWriteInputTokens") or 0
    kept = _listed(usage, ("cacheDetails",), "ttl", "inputTokens")
    sent = _count(usage, "inputTokens")
    return _Counts(
        None if sent is None else sent + read + write,
        _count(usage, "outputTokens"),
        cache_read=read,
        cache_write=write,
        cache_write_1h=kept.get("1h", 0),
    )


def _gemini(usage: Json) -> _Counts:
    """Gemini, in both spellings: it counts what tools read, and thoughts, apart."""
    prompt = _either(usage, "promptTokenCount", "prompt_token_count")
    tools = _either(usage, "toolUsePromptTokenCount", "tool_use_prompt_token_count") or 0
    answer = _either(usage, "candidatesTokenCount", "candidates_token_count")
    thoughts = _either(usage, "thoughtsTokenCount", "thoughts_token_count") or 0
    read = _modalities(usage, "promptTokensDetails", "prompt_tokens_details")
    for modality, count in _modalities(
        usage, "toolUsePromptTokensDetails", "tool_use_prompt_tokens_details"
    ).items():
        read[modality] = read.get(modality, 0) + count
    written = _modalities(usage, "candidatesTokensDetails", "candidates_tokens_details")
    return _Counts(
        None if prompt is None else prompt + tools,
        None if answer is None and not thoughts else (answer or 0) + thoughts,
        cache_read=_either(usage, "cachedContentTokenCount", "cached_content_token_count") or 0,
        reasoning=thoughts,
        input_audio=read.get("AUDIO", 0),
        output_audio=written.get("AUDIO", 0),
        # A page of a document is read, and priced, as an image.
        input_image=read.get("IMAGE", 0) + read.get("DOCUMENT", 0),
    )


def _cohere(usage: Json) -> _Counts:
    """Cohere bills other counts than it reports as tokens; its bill is what a call costs."""
    billed = usage["billed_units"]
    return _Counts(_count(billed, "input_tokens"), _count(billed, "output_tokens"))


def _has(*keys: str) -> Callable[[Json], bool]:
    return lambda usage: any(key in usage for key in keys)


def _is_billed(usage: Json) -> bool:
    return isinstance(usage.get("billed_units"), dict)


# The first shape that fits: Anthropic's is OpenAI's Responses with the cache counted beside it.
SHAPES: Final[tuple[tuple[Callable[[Json], bool], Callable[[Json], _Counts]], ...]] = (
    (_is_billed, _cohere),
    (_has("promptTokenCount", "prompt_token_count"), _gemini),
    (_has("inputTokens"), _bedrock),
    (_has("prompt_tokens"), _chat_completions),
    (_has(*EXCLUSIVE_KEYS), _anthropic),
    (_has("input_tokens"), _responses),
)


def _service_tier(body: Json, usage: Json) -> str | None:
    said = (body.get("service_tier"), usage.get("service_tier"), usage.get("serviceTier"))
    return next((TIERS[tier] for tier in said if isinstance(tier, str) and tier in TIERS), None)


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _integer(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def _count(usage: Json, key: str) -> int | None:
    return _integer(usage.get(key))


def _either(usage: Json, camel: str, snake: str) -> int | None:
    found = _count(usage, camel)
    return _count(usage, snake) if found is None else found


def _detail(usage: Json, groups: tuple[str, ...], key: str) -> int | None:
    return next((n for group in groups if (n := _integer(_at(usage, (group, key))))), None)


def _modalities(usage: Json, camel: str, snake: str) -> dict[str, int]:
    return {
        **_listed(usage, (snake,), "modality", "token_count"),
        **_listed(usage, (camel,), "modality", "tokenCount"),
    }


def _listed(usage: Json, path: Path, name: str, count: str) -> dict[str, int]:
    """A list of named counts as a map."""
    return {entry[name]: entry[count] for entry in _entries(_at(usage, path), name, count)}


def _entries(listed: Any, name: str, count: str) -> Iterator[dict[str, Any]]:
    for entry in listed if isinstance(listed, list) else ():
        is_named = isinstance(entry, dict) and isinstance(entry.get(name), str)
        if is_named and type(entry.get(count)) is int:
            yield entry
