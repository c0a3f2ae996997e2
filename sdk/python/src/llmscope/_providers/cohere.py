"""Answers of Cohere: chat (v1 and v2), embeddings, rerank.

It bills other counts than it reports as tokens, and its bill is what a call costs: billed counts
come first, tokens only where nothing is billed.
"""

from __future__ import annotations

from typing import Any

from llmscope._providers.reading import Json, count_at, first_count, text_at, with_source


def read(response: Json, is_final: bool = True) -> dict[str, Any]:
    """Fields of the event of an answer, whole or put together from a stream."""
    usage = response.get("usage") or response.get("meta")
    reason = text_at(response, "finish_reason")
    fields = {
        "response_id": first_text(response, "response_id", "generation_id", "id"),
        "response_finish_reasons": [reason] if reason else None,
        **counts(usage),
    }
    fields = with_source(fields, usage, is_final)
    if is_final and count_at(usage, "billed_units", "search_units") is not None:
        fields["usage_source"] = "provider"
    return fields


def counts(usage: Any) -> dict[str, int | None]:
    """The token counts of a usage object."""
    cached = count_at(usage, "cached_tokens")
    billed = first_count(usage, ("billed_units", "input_tokens"), ("tokens", "input_tokens"))
    images = count_at(usage, "billed_units", "image_tokens") or None
    return {
        "input_tokens": billed if images is None else (billed or 0) + images,
        "output_tokens": first_count(
            usage, ("billed_units", "output_tokens"), ("tokens", "output_tokens")
        ),
        # What is cached may be more than what is billed: then the counts do not tell of one thing.
        "cache_read_input_tokens": cached if (cached or 0) <= (billed or 0) else None,
        "input_image_tokens": images,
    }


def first_text(response: Json, *names: str) -> str | None:
    """The first member that is a text."""
    return next((text for name in names if (text := text_at(response, name))), None)


def input_messages(request: Json) -> list[Any] | None:
    """The prompt, as it was sent."""
    if isinstance(request.get("messages"), (list, tuple)):
        return list(request["messages"])
    if isinstance(request.get("message"), str):
        history = request.get("chat_history")
        earlier = list(history) if isinstance(history, (list, tuple)) else []
        return [*earlier, {"role": "user", "content": request["message"]}]
    query = request.get("query")
    texts = [query] if isinstance(query, str) else request.get("texts")
    is_list = isinstance(texts, (list, tuple))
    return [{"role": "user", "content": text} for text in texts] if is_list and texts else None


def output_messages(response: Json) -> list[Any] | None:
    """The completion."""
    if isinstance(response.get("message"), dict):
        return [response["message"]]
    text = text_at(response, "text")
    return [{"role": "assistant", "content": text}] if text else None


class ChatStream:
    """Puts the events of both versions of a stream together to one answer."""

    def __init__(self) -> None:
        self.response: dict[str, Any] = {}
        self.is_final = False
        self._texts: list[str] = []

    def add(self, event: str, data: Json) -> None:
        """One event, in order."""
        kind = text_at(data, "type") or text_at(data, "event_type") or event
        delta = data.get("delta")
        if kind in ("message-start", "stream-start"):
            self.response.update(
                {name: data[name] for name in ("id", "generation_id") if data.get(name)}
            )
        elif kind == "content-delta":
            content = (delta or {}).get("message", {}).get("content")
            self._add_text(text_at(content, "text"))
        elif kind == "text-generation":
            self._add_text(text_at(data, "text"))
        elif kind == "message-end" and isinstance(delta, dict):
            self.response.update(delta)
            self.is_final = True
        elif kind == "stream-end":
            self._finish(data)

    def _add_text(self, text: str | None) -> None:
        self._texts.append(text or "")
        self.response["text"] = "".join(self._texts)

    def _finish(self, data: Json) -> None:
        if isinstance(data.get("response"), dict):
            self.response.update(data["response"])
        self.response.setdefault("finish_reason", data.get("finish_reason"))
        self.is_final = True
