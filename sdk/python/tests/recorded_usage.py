"""What a recording says of its usage, read without a line of the SDK."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import unquote

from tests.replaying import UNKNOWN_MODEL, Recording

Counts = dict[str, Any]
_HEADER = "x-amzn-bedrock-{}-token-count"


def requested_model(recording: Recording) -> str | None:
    """The model in the body, else the one in the address."""
    model: str | None = recording.request.get("model")
    if recording.provider in ("google", "google-vertex"):
        return unquote(recording.path.rpartition("/")[2].partition(":")[0])
    if "/model/" in recording.path:
        return unquote(recording.path.partition("/model/")[2].rpartition("/")[0])
    host = recording.url.split("/")[2]
    return model or recording.model or (host if recording.path == "/" else UNKNOWN_MODEL)


def expected_counts(recording: Recording) -> Counts:
    """The counts of the event that the recording must yield."""
    if "/model/" in recording.path:
        return _bedrock(recording)
    usage: Counts = {}
    for entry in recording.usage:
        usage.update({k: v for k, v in (_found_usage(entry) or {}).items() if v is not None})
    if recording.provider in ("google", "google-vertex"):
        return _google(usage)
    if recording.provider == "cohere":
        billed = usage.get("billed_units") or {}
        return {
            "input_tokens": billed.get("input_tokens"),
            "output_tokens": billed.get("output_tokens"),
        }
    if recording.path == "/" and recording.provider == "huggingface":
        return {"output_tokens": json.loads(recording.body)[0]["details"]["generated_tokens"]}
    return _anthropic(usage) if recording.provider == "anthropic" else _openai(usage)


def _openai(usage: Counts) -> Counts:
    inputs = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    outputs = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
    return {
        "input_tokens": usage.get("prompt_tokens", usage.get("input_tokens")),
        "output_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
        "cache_read_input_tokens": inputs.get("cached_tokens"),
        "reasoning_output_tokens": outputs.get("reasoning_tokens"),
    }


def _anthropic(usage: Counts) -> Counts:
    read = usage.get("cache_read_input_tokens") or 0
    written = usage.get("cache_creation_input_tokens") or 0
    return {
        "input_tokens": (usage.get("input_tokens") or 0) + read + written,
        "output_tokens": usage.get("output_tokens"),
        "cache_read_input_tokens": read,
        "cache_write_input_tokens": written,
        "reasoning_output_tokens": (usage.get("output_tokens_details") or {}).get(
            "thinking_tokens"
        ),
    }


def _google(usage: Counts) -> Counts:
    prompt, tools = usage.get("promptTokenCount", 0), usage.get("toolUsePromptTokenCount", 0)
    answer, thoughts = usage.get("candidatesTokenCount", 0), usage.get("thoughtsTokenCount", 0)
    return {
        "input_tokens": prompt + tools,
        "output_tokens": answer + thoughts,
        "cache_read_input_tokens": usage.get("cachedContentTokenCount"),
        "reasoning_output_tokens": thoughts,
    }


def _bedrock(recording: Recording) -> Counts:
    """From the answer itself: the index leaves out what streams and headers say."""
    if recording.status >= 400:
        return {}
    if recording.path.endswith("stream"):
        frames = _frames(recording.body)
        metered = (f.get("amazon-bedrock-invocationMetrics") or {} for f in frames)
        told = [f.get("usage") or _metered(metrics) for f, metrics in zip(frames, metered)]
        return _exclusive(next(filter(None, reversed(told)), {}) or _titan(frames))
    answer = json.loads(recording.body)
    usage = answer.get("usage") or {}
    if "prompt_tokens" in usage:
        return _openai(usage)
    if "input_tokens" in usage:
        return _anthropic(usage)
    counts = {
        "inputTokens": recording.headers.get(_HEADER.format("input")),
        "outputTokens": recording.headers.get(_HEADER.format("output")),
    }
    return _exclusive(usage or {name: int(count) for name, count in counts.items() if count})


def _metered(metrics: Counts) -> Counts:
    return {name.replace("TokenCount", "Tokens"): count for name, count in metrics.items()}


def _titan(frames: list[Any]) -> Counts:
    """Counts of its own: the prompt in the first chunk, the answer's so far in each."""
    names = {"inputTextTokenCount": "inputTokens", "totalOutputTextTokenCount": "outputTokens"}
    return {ours: f[own] for f in frames for own, ours in names.items() if f.get(own) is not None}


def _exclusive(usage: Counts) -> Counts:
    read, written = usage.get("cacheReadInputTokens", 0), usage.get("cacheWriteInputTokens", 0)
    return {
        "input_tokens": usage.get("inputTokens", 0) + read + written,
        "output_tokens": usage.get("outputTokens"),
        "cache_read_input_tokens": read,
        "cache_write_input_tokens": written,
    }


def _frames(body: bytes) -> list[Any]:
    from botocore.eventstream import EventStreamBuffer  # not in every environment

    buffer = EventStreamBuffer()
    buffer.add_data(body)
    payloads = [json.loads(event.payload) for event in buffer]
    return [json.loads(base64.b64decode(p["bytes"])) if "bytes" in p else p for p in payloads]


def _found_usage(entry: Any) -> Counts | None:
    if not isinstance(entry, dict):
        return None
    for name in ("usage", "usageMetadata", "meta", "x_groq", "response", "message"):
        if isinstance(entry.get(name), dict):
            inner = entry[name]
            return inner if "usage" in name else _found_usage(inner) or inner
    return entry
