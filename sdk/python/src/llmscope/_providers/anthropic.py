"""Answers of Anthropic's Messages API.

Its `input_tokens` leave out what was read from a cache and written to it: they are added here.
"""

from __future__ import annotations

from typing import Any

from llmscope._providers.reading import Json, count_at, text_at, tier_of, with_source


def read(response: Json, is_final: bool = True) -> dict[str, Any]:
    """Fields of the event of an answer, whole or put together from a stream."""
    usage = response.get("usage")
    stop_reason = text_at(response, "stop_reason")
    fields = {
        "response_id": text_at(response, "id"),
        "response_model": text_at(response, "model"),
        "response_finish_reasons": [stop_reason] if stop_reason else None,
        "service_tier": tier_of(usage.get("service_tier")) if isinstance(usage, dict) else None,
        **counts(usage),
    }
    return with_source(fields, usage, is_final)


def counts(usage: Any) -> dict[str, int | None]:
    """The token counts of a usage object."""
    uncached = count_at(usage, "input_tokens")
    read_count = count_at(usage, "cache_read_input_tokens")
    written = count_at(usage, "cache_creation_input_tokens")
    return {
        "input_tokens": None if uncached is None else uncached + (read_count or 0) + (written or 0),
        "output_tokens": count_at(usage, "output_tokens"),
        "cache_read_input_tokens": read_count,
        "cache_write_input_tokens": written,
        "cache_write_1h_input_tokens": count_at(
            usage, "cache_creation", "ephemeral_1h_input_tokens"
        ),
        "reasoning_output_tokens": count_at(usage, "output_tokens_details", "thinking_tokens"),
    }


def input_messages(request: Json) -> list[Any] | None:
    """The prompt, as it was sent, the system's first."""
    system, messages = request.get("system"), request.get("messages")
    first = [{"role": "system", "content": system}] if system else []
    return first + list(messages) if isinstance(messages, (list, tuple)) else None


def output_messages(response: Json) -> list[Any] | None:
    """The completion."""
    content = response.get("content")
    return [{"role": "assistant", "content": content}] if content else None


class MessageStream:
    """Puts the events of a stream together to one message; counts in them are sums so far."""

    def __init__(self) -> None:
        self.response: dict[str, Any] = {}
        self.is_final = False
        self._texts: list[str] = []

    def add(self, event: str, data: Json) -> None:
        """One event, in order."""
        kind = text_at(data, "type") or event
        if kind == "message_start" and isinstance(data.get("message"), dict):
            self.response = dict(data["message"])
        elif kind == "message_delta":
            self._finish(data)
        elif kind == "content_block_delta":
            self._texts.append(text_at(data.get("delta"), "text") or "")
        elif kind == "error":
            self.response["error"] = data.get("error")

    def _finish(self, data: Json) -> None:
        usage, delta = data.get("usage"), data.get("delta")
        if isinstance(usage, dict):
            told = {name: value for name, value in usage.items() if value is not None}
            self.response["usage"] = {**(self.response.get("usage") or {}), **told}
            self.is_final = True
        if isinstance(delta, dict):
            self.response["stop_reason"] = delta.get("stop_reason")
        self.response["content"] = [{"type": "text", "text": "".join(self._texts)}]
