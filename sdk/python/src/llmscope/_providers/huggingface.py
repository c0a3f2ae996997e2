"""Answers of text-generation servers; the others that Hugging Face has answer as OpenAI does."""

from __future__ import annotations

from typing import Any

from llmscope._providers.reading import Json, count_at, text_at, with_source


def read(response: Json, is_final: bool = True) -> dict[str, Any]:
    """Fields of the event of a generated text, whole or put together from a stream."""
    details = response.get("details")
    reason = text_at(details, "finish_reason")
    fields = {
        "response_finish_reasons": [reason] if reason else None,
        "input_tokens": _input(details),
        "output_tokens": count_at(details, "generated_tokens"),
    }
    return with_source(fields, _usage(details), is_final)


def _input(details: Any) -> int | None:
    """Some say it; others list the tokens of the prompt, where they were asked to."""
    prefill = details.get("prefill") if isinstance(details, dict) else None
    said = count_at(details, "input_length")
    return said if said is not None or not prefill else len(prefill)


def _usage(details: Any) -> dict[str, Any] | None:
    """The counts alone: the rest are the tokens themselves."""
    if not isinstance(details, dict):
        return None
    names = ("generated_tokens", "input_length", "finish_reason")
    return {name: details[name] for name in names if details.get(name) is not None}


def input_messages(request: Json) -> list[Any] | None:
    """The prompt."""
    inputs = request.get("inputs")
    return [{"role": "user", "content": inputs}] if isinstance(inputs, str) else None


def output_messages(response: Json) -> list[Any] | None:
    """The generated text."""
    text = text_at(response, "generated_text")
    return [{"role": "assistant", "content": text}] if text else None


class TextStream:
    """One token an event; the last one has the text and the counts."""

    def __init__(self) -> None:
        self.response: dict[str, Any] = {}
        self.is_final = False

    def add(self, _event: str, data: Json) -> None:
        """One event, in order."""
        for name in ("generated_text", "details", "error"):
            if data.get(name) is not None:
                self.response[name] = data[name]
        self.is_final |= data.get("details") is not None
