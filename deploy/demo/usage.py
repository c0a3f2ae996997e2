"""Token counts of an imagined call, and the usage object that its provider would have sent."""

import dataclasses
import math
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import msgspec

from deploy.demo.workloads import REASONING_MODELS, Model, Workload
from ingest_api.events import ABSENT

# Share of the writes that are kept for an hour.
LONG_CACHE_RATIO: Final = 0.2
# OpenAI caches in steps of this size.
CACHE_STEP_TOKENS: Final = 128


@dataclass(frozen=True)
class Usage:
    """Token counts as the contract has them: input and output contain their parts."""

    input_tokens: int
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    cache_write_1h_input_tokens: int = 0
    reasoning_output_tokens: int = 0

    @property
    def uncached_input_tokens(self) -> int:
        """Input that neither came from a cache nor went into one."""
        return self.input_tokens - self.cache_read_input_tokens - self.cache_write_input_tokens

    def known_counts(self) -> dict[str, int]:
        """Fields of the event: the two totals, and the parts that are not zero."""
        counts = dataclasses.asdict(self)
        totals = {"input_tokens", "output_tokens"}
        return {name: count for name, count in counts.items() if count or name in totals}


def scattered(rng: Random, median: float, spread: float) -> float:
    """A value around `median`, skewed to the right as sizes and waiting times are."""
    return median * math.exp(rng.gauss(0, spread))


def draw_usage(rng: Random, workload: Workload, model: Model) -> Usage:
    """Token counts of one call."""
    input_tokens = max(1, round(scattered(rng, workload.input_tokens, 0.5)))
    output_tokens = round(scattered(rng, workload.output_tokens, 0.6))
    is_warm = rng.random() < workload.warm_ratio
    cached_tokens = round(input_tokens * workload.cached_ratio)
    read, written = _split_cache(cached_tokens, model, is_warm=is_warm)
    is_long = rng.random() < LONG_CACHE_RATIO
    reasons = model in REASONING_MODELS
    reasoning = round(output_tokens * workload.reasoning_ratio) if reasons else 0
    return Usage(input_tokens, output_tokens, read, written, written if is_long else 0, reasoning)


def _split_cache(cached_tokens: int, model: Model, *, is_warm: bool) -> tuple[int, int]:
    """Tokens read from the cache and written to it; only Anthropic bills the writing."""
    match model.usage_style:
        case "anthropic":
            return (cached_tokens, 0) if is_warm else (0, cached_tokens)
        case "openai" | "google":
            steps = cached_tokens // CACHE_STEP_TOKENS
            return (steps * CACHE_STEP_TOKENS if is_warm else 0), 0
        case _:
            return 0, 0


def verbatim_usage(usage: Usage, model: Model) -> msgspec.Raw:
    """The provider's own usage object. Anthropic's `input_tokens` leaves the cache out."""
    match model.usage_style:
        case "openai":
            return _raw(_openai_usage(usage))
        case "anthropic":
            return _raw(_anthropic_usage(usage))
        case _:
            return ABSENT


def _openai_usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_output_tokens},
    }


def _anthropic_usage(usage: Usage) -> dict[str, Any]:
    long = usage.cache_write_1h_input_tokens
    return {
        "input_tokens": usage.uncached_input_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "cache_creation_input_tokens": usage.cache_write_input_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_input_tokens - long,
            "ephemeral_1h_input_tokens": long,
        },
        "output_tokens": usage.output_tokens,
    }


def _raw(content: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(content))
