"""What litellm and tokencost say that calls cost. Runs in an environment of its own.

Reads a JSON list of calls on standard input, writes a JSON map of call id to tool to USD (null
where the tool refuses). Each tool is given what it has a place for, in its own words.
"""

import contextlib
import json
import sys
from collections.abc import Callable
from typing import Any

import litellm
import tokencost
from litellm.types.utils import CompletionTokensDetailsWrapper, PromptTokensDetailsWrapper, Usage

Counts = dict[str, int]
LITELLM_PROVIDERS = {"aws": "bedrock", "google": "gemini"}


def litellm_cost(call: dict[str, Any]) -> float:
    """By `cost_per_token`, with every detail that its usage object can hold."""
    counts: Counts = call["counts"]
    usage = Usage(
        prompt_tokens=counts.get("input_tokens", 0),
        completion_tokens=counts.get("output_tokens", 0),
        total_tokens=counts.get("input_tokens", 0) + counts.get("output_tokens", 0),
        cache_creation_input_tokens=counts.get("cache_write_tokens", 0),
        cache_read_input_tokens=counts.get("cache_read_tokens", 0),
        prompt_tokens_details=PromptTokensDetailsWrapper(
            cached_tokens=counts.get("cache_read_tokens", 0),
            audio_tokens=counts.get("input_audio_tokens", 0),
            image_tokens=counts.get("input_image_tokens", 0),
            cache_creation_tokens=counts.get("cache_write_tokens", 0),
        ),
        completion_tokens_details=CompletionTokensDetailsWrapper(
            reasoning_tokens=counts.get("output_reasoning_tokens", 0),
            audio_tokens=counts.get("output_audio_tokens", 0),
        ),
    )
    tier = call["service_tier"]
    prompt_usd, completion_usd = litellm.cost_per_token(
        model=call["model"],
        custom_llm_provider=LITELLM_PROVIDERS.get(call["provider"], call["provider"]),
        usage_object=usage,
        service_tier=None if tier == "default" else tier,
    )
    return float(prompt_usd + completion_usd)


def tokencost_cost(call: dict[str, Any]) -> float:
    """By `calculate_cost_by_tokens`; it knows input, cached input and output."""
    counts: Counts = call["counts"]
    cached = counts.get("cache_read_tokens", 0)
    parts = [
        (counts.get("input_tokens", 0) - cached, "input"),
        (cached, "cached"),
        (counts.get("output_tokens", 0), "output"),
    ]
    return float(
        sum(
            tokencost.calculate_cost_by_tokens(count, call["model"], kind)
            for count, kind in parts
            if count
        )
    )


def cost_or_none(price: Callable[[dict[str, Any]], float], call: dict[str, Any]) -> float | None:
    """What a tool says; None where it refuses, in whatever way it does."""
    try:
        return price(call)
    except Exception as error:  # they raise what they like, a bare Exception too
        print(f"{call['provider']} {call['model']}: {type(error).__name__}", file=sys.stderr)
        return None


def main() -> None:
    """Price the calls of standard input."""
    calls = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        priced = {
            call["id"]: {
                "litellm": cost_or_none(litellm_cost, call),
                "tokencost": cost_or_none(tokencost_cost, call),
            }
            for call in calls
        }
    json.dump(priced, sys.stdout)


if __name__ == "__main__":
    main()
