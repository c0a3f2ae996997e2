"""Answers of Amazon Bedrock: Converse, and the models' own ones.

Converse reports input without what was read from a cache and written to it: both are added here.
A model's own answer is told by its shape; where it counts nothing, Bedrock's headers do.
"""

from __future__ import annotations

from typing import Any

from llmscope._providers import anthropic, cohere, openai
from llmscope._providers.reading import (
    Json,
    count_at,
    counts_by,
    first_count,
    objects_at,
    text_at,
    tier_of,
    with_source,
)

# What Bedrock itself counted, as it calls it at the end of a stream and in headers.
METRICS = "amazon-bedrock-invocationMetrics"
HEADERS = {
    "x-amzn-bedrock-input-token-count": "inputTokenCount",
    "x-amzn-bedrock-output-token-count": "outputTokenCount",
    "x-amzn-bedrock-cache-read-input-token-count": "cacheReadInputTokenCount",
    "x-amzn-bedrock-cache-write-input-token-count": "cacheWriteInputTokenCount",
}
_STOP_REASONS = ("stopReason", "stop_reason", "completionReason", "finish_reason")


def read(response: Json, is_final: bool = True) -> dict[str, Any]:
    """Fields of the event of an answer of Converse, whole or put together from a stream."""
    usage = response.get("usage")
    reason = text_at(response, "stopReason")
    tier = response.get("serviceTier")
    fields = {
        "response_finish_reasons": [reason] if reason else None,
        "service_tier": tier_of(tier.get("type") if isinstance(tier, dict) else None),
        **counts(usage),
    }
    return with_source(fields, usage, is_final)


def counts(usage: Any) -> dict[str, int | None]:
    """The token counts of a usage object."""
    uncached = count_at(usage, "inputTokens")
    read_count = first_count(usage, ("cacheReadInputTokens",), ("cacheReadInputTokenCount",))
    written = first_count(usage, ("cacheWriteInputTokens",), ("cacheWriteInputTokenCount",))
    kept = dict(counts_by(usage, "cacheDetails", "ttl", "inputTokens"))
    return {
        "input_tokens": None if uncached is None else uncached + (read_count or 0) + (written or 0),
        "output_tokens": count_at(usage, "outputTokens"),
        "cache_read_input_tokens": read_count,
        "cache_write_input_tokens": written,
        "cache_write_1h_input_tokens": kept.get("1h"),
    }


def read_invocation(response: Json, is_final: bool = True) -> dict[str, Any]:
    """Fields of the event of a model's own answer."""
    usage, metrics = response.get("usage"), response.get(METRICS)
    if count_at(usage, "inputTokens") is not None:
        return read(response, is_final)
    if count_at(usage, "prompt_tokens") is not None:
        return openai.read(response, is_final)
    if response.get("type") == "message" or count_at(usage, "input_tokens") is not None:
        return anthropic.read(response, is_final)
    if isinstance(response.get("meta"), dict):
        return cohere.read(response, is_final)
    results = objects_at(response, "results") or objects_at(response, "outputs") or [response]
    reasons = [text_at(result, name) for result in results for name in _STOP_REASONS]
    fields = {
        "response_finish_reasons": [reason for reason in reasons if reason] or None,
        **_own_counts(response, metrics),
    }
    return with_source(fields, metrics or _own_usage(response), is_final)


def _own_counts(response: Json, metrics: Any) -> dict[str, int | None]:
    """Titan and Llama count by themselves, for others Bedrock does."""
    uncached = count_at(metrics, "inputTokenCount")
    read_count = count_at(metrics, "cacheReadInputTokenCount")
    written = count_at(metrics, "cacheWriteInputTokenCount")
    told = [count_at(result, "tokenCount") for result in objects_at(response, "results")]
    of_results = sum(count for count in told if count is not None) if any(told) else None
    said = first_count(response, ("inputTextTokenCount",), ("prompt_token_count",))
    output = first_count(response, ("generation_token_count",), ("totalOutputTextTokenCount",))
    of_metrics = count_at(metrics, "outputTokenCount")
    return {
        "input_tokens": said if uncached is None else uncached + (read_count or 0) + (written or 0),
        "output_tokens": next((n for n in (of_metrics, output, of_results) if n is not None), None),
        "cache_read_input_tokens": read_count,
        "cache_write_input_tokens": written,
    }


def _own_usage(response: Json) -> dict[str, Any]:
    names = ("inputTextTokenCount", "prompt_token_count", "generation_token_count")
    return {name: response[name] for name in names if response.get(name) is not None}


def input_messages(request: Json) -> list[Any] | None:
    """The prompt, as it was sent, the system's first."""
    system = request.get("system")
    first = [{"role": "system", "content": system}] if system else []
    if isinstance(request.get("messages"), (list, tuple)):
        return first + list(request["messages"])
    prompt = request.get("prompt") or request.get("inputText")
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else None


def output_messages(response: Json) -> list[Any] | None:
    """The completion."""
    output = response.get("output")
    if isinstance(output, dict) and "message" in output:
        return [output["message"]]
    texts = [
        text_at(result, name)
        for result in [response, *objects_at(response, "results"), *objects_at(response, "outputs")]
        for name in ("generation", "outputText", "text", "completion")
    ]
    said = [{"role": "assistant", "content": text} for text in texts if text]
    return said or anthropic.output_messages(response) or openai.output_messages(response)


class ConverseStream:
    """Puts the events of a stream of Converse together to one answer."""

    def __init__(self) -> None:
        self.response: dict[str, Any] = {}
        self.is_final = False
        self._texts: list[str] = []

    def add(self, event: str, data: Json) -> None:
        """One event, in order."""
        if event == "contentBlockDelta":
            self._texts.append(text_at(data.get("delta"), "text") or "")
        elif event == "messageStop":
            self.response["stopReason"] = data.get("stopReason")
        elif event == "metadata":
            self.response.update(data)
            self.is_final = True
        elif event == "error":
            self.response["error"] = data.get("error")
        message = {"role": "assistant", "content": [{"text": "".join(self._texts)}]}
        self.response["output"] = {"message": message}


class InvocationStream:
    """Puts the chunks of a model's own stream together; the last one carries Bedrock's counts."""

    def __init__(self) -> None:
        self.response: dict[str, Any] = {}
        self.is_final = False
        self._message = anthropic.MessageStream()
        self._chat = openai.ChatStream()
        self._texts: list[str] = []

    def add(self, event: str, data: Json) -> None:
        """One chunk, in order."""
        metrics = data.get(METRICS)
        if "type" in data:
            self._message.add(event, data)
            self.response.update(self._message.response)
        elif "choices" in data:
            self._chat.add(event, data)
            self.response.update(self._chat.response)
        else:
            self._add_own(data)
        if isinstance(metrics, dict):
            self.response[METRICS] = metrics
            self.is_final = True

    def _add_own(self, data: Json) -> None:
        inner = data.get("metadata")
        if isinstance(inner, dict):
            self.response.update(inner)
        names = (*_STOP_REASONS, "inputTextTokenCount", "prompt_token_count", "results", "outputs")
        kept = {name: data[name] for name in names if data.get(name) is not None}
        self.response.update({**kept, **_last_counts(data)})
        texts = [data.get("generation"), data.get("outputText"), data.get("text")]
        self._texts += [text for text in texts if isinstance(text, str)]
        self.response["generation"] = "".join(self._texts)


def _last_counts(data: Json) -> dict[str, Any]:
    names = ("generation_token_count", "totalOutputTextTokenCount")
    return {name: data[name] for name in names if data.get(name) is not None}
