"""Answers in OpenAI's shapes: chat, completions, embeddings, responses, images, transcriptions.

Counts are inclusive already: cached tokens are part of the input, reasoning is part of the output.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from llmscope._providers.reading import (
    Json,
    count_at,
    first_count,
    objects_at,
    text_at,
    tier_of,
    with_source,
)

# Chat, responses and transcriptions each name the parts of their counts in their own way.
_INPUT_PARTS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
_OUTPUT_PARTS = ("completion_tokens_details", "output_tokens_details", "output_token_details")


def read(response: Json, is_final: bool = True) -> dict[str, Any]:
    """Fields of the event of an answer, whole or put together from a stream."""
    usage = _usage_of(response)
    fields = {
        "response_id": text_at(response, "id"),
        "response_model": text_at(response, "model"),
        "response_finish_reasons": _finish_reasons(response),
        "service_tier": tier_of(response.get("service_tier")),
        "reported_cost_usd": _cost(usage),
        **counts(usage),
    }
    return with_source(fields, usage, is_final)


def counts(usage: Any) -> dict[str, int | None]:
    """The token counts of a usage object."""
    inputs, outputs = _parts(usage, _INPUT_PARTS), _parts(usage, _OUTPUT_PARTS)
    reasoning = count_at(outputs, "reasoning_tokens")
    return {
        "input_tokens": first_count(usage, ("prompt_tokens",), ("input_tokens",)),
        "output_tokens": _output(usage, reasoning),
        "cache_read_input_tokens": _cached(usage, inputs),
        "cache_write_input_tokens": count_at(inputs, "cache_write_tokens"),
        "reasoning_output_tokens": reasoning,
        "input_audio_tokens": count_at(inputs, "audio_tokens"),
        "output_audio_tokens": count_at(outputs, "audio_tokens"),
        "input_image_tokens": count_at(inputs, "image_tokens"),
    }


def _cached(usage: Any, inputs: Json) -> int | None:
    """DeepSeek has a name of its own for it, Together a place of its own."""
    cached = count_at(inputs, "cached_tokens")
    others = first_count(usage, ("prompt_cache_hit_tokens",), ("cached_tokens",))
    return others if cached is None else cached


def _parts(usage: Any, names: tuple[str, ...]) -> Json:
    for name in names if isinstance(usage, dict) else ():
        if isinstance(usage.get(name), dict):
            parts: Json = usage[name]
            return parts
    return {}


def _output(usage: Any, reasoning: int | None) -> int | None:
    """xAI leaves reasoning out of the completion: its total tells."""
    output = first_count(usage, ("completion_tokens",), ("output_tokens",))
    prompt, total = count_at(usage, "prompt_tokens"), count_at(usage, "total_tokens")
    if output is not None and prompt is not None and reasoning and total:
        return output + reasoning if total == prompt + output + reasoning else output
    return output


def _usage_of(response: Json) -> Any:
    """Groq's streams have it in a place of their own."""
    groq = response.get("x_groq")
    return response.get("usage") or (groq.get("usage") if isinstance(groq, dict) else None)


def _finish_reasons(response: Json) -> list[str] | None:
    reasons = [text_at(choice, "finish_reason") for choice in objects_at(response, "choices")]
    if "output" in response:
        cut_short = text_at(response.get("incomplete_details"), "reason")
        reasons = [cut_short or text_at(response, "status")]
    return [reason for reason in reasons if reason] or None


def _cost(usage: Any) -> str | None:
    """OpenRouter says what a call cost."""
    cost = usage.get("cost") if isinstance(usage, dict) else None
    is_number = isinstance(cost, (int, float)) and not isinstance(cost, bool) and cost >= 0
    return format(Decimal(repr(cost)), "f") if is_number else None


def input_messages(request: Json) -> list[Any] | None:
    """The prompt, as it was sent."""
    for name in ("messages", "input", "prompt"):
        value = request.get(name)
        if value is not None:
            return list(value) if isinstance(value, (list, tuple)) else [_said("user", value)]
    return None


def output_messages(response: Json) -> list[Any] | None:
    """The completion."""
    if isinstance(response.get("output"), list):
        return list(response["output"])
    choices = objects_at(response, "choices")
    return [c.get("message") or _said("assistant", c.get("text")) for c in choices] or None


def _said(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


class ChatStream:
    """Puts chunks of chat and completions together to one answer."""

    def __init__(self) -> None:
        self.response: dict[str, Any] = {}
        self.is_final = False
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, _event: str, chunk: Json) -> None:
        """One chunk, in order."""
        for name in ("id", "model", "service_tier", "usage", "x_groq", "error"):
            if chunk.get(name):
                self.response[name] = chunk[name]
        for choice in objects_at(chunk, "choices"):
            self._add_choice(choice)
        self.response["choices"] = [self._choices[index] for index in sorted(self._choices)]

    def _add_choice(self, chunk: Json) -> None:
        empty = {"message": {"role": "assistant", "content": ""}}
        choice = self._choices.setdefault(chunk.get("index") or 0, empty)
        delta = chunk.get("delta")
        text = text_at(delta, "content") or text_at(chunk, "text") or ""
        choice["message"]["content"] += text
        if chunk.get("finish_reason"):
            choice["finish_reason"] = chunk["finish_reason"]
            self.is_final = True


class ResponseStream:
    """The events of the Responses API carry the whole answer, empty at first."""

    def __init__(self) -> None:
        self.response: dict[str, Any] = {}
        self.is_final = False

    def add(self, event: str, data: Json) -> None:
        """One event, in order."""
        kind = text_at(data, "type") or event
        if isinstance(data.get("response"), dict):
            self.response = data["response"]
        if kind == "error":
            self.response = {**self.response, "error": data.get("error") or data}
        self.is_final |= kind in ("response.completed", "response.incomplete", "response.failed")
