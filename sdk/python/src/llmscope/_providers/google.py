"""Answers of Gemini, by Google's own API and by Vertex AI.

Thoughts are counted beside the answer, and what tools read beside the prompt: both are added here.
"""

from __future__ import annotations

from typing import Any

from llmscope._providers.reading import (
    Json,
    count_at,
    counts_by,
    objects_at,
    text_at,
    tier_of,
    with_source,
)


def read(response: Json, is_final: bool = True) -> dict[str, Any]:
    """Fields of the event of an answer, whole or put together from a stream."""
    usage = response.get("usageMetadata")
    candidates = objects_at(response, "candidates")
    reasons = [text_at(candidate, "finishReason") for candidate in candidates]
    tier = usage.get("serviceTier") if isinstance(usage, dict) else None
    fields = {
        "response_id": text_at(response, "responseId"),
        "response_model": text_at(response, "modelVersion"),
        "response_finish_reasons": [reason for reason in reasons if reason] or None,
        "service_tier": tier_of(tier.lower() if isinstance(tier, str) else None),
        **counts(usage),
    }
    return with_source(fields, usage, is_final)


def counts(usage: Any) -> dict[str, int | None]:
    """The token counts of a usage object."""
    prompt, answer = count_at(usage, "promptTokenCount"), count_at(usage, "candidatesTokenCount")
    tools = count_at(usage, "toolUsePromptTokenCount") or 0
    thoughts = count_at(usage, "thoughtsTokenCount")
    read_in = _modalities(usage, "promptTokensDetails", "toolUsePromptTokensDetails")
    written = _modalities(usage, "candidatesTokensDetails")
    # A page of a document is read, and priced, as an image.
    images = read_in.get("IMAGE", 0) + read_in.get("DOCUMENT", 0)
    has_output = answer is not None or bool(thoughts)
    return {
        "input_tokens": None if prompt is None else prompt + tools,
        "output_tokens": (answer or 0) + (thoughts or 0) if has_output else None,
        "cache_read_input_tokens": count_at(usage, "cachedContentTokenCount"),
        "reasoning_output_tokens": thoughts,
        "input_audio_tokens": read_in.get("AUDIO"),
        "output_audio_tokens": written.get("AUDIO"),
        "input_image_tokens": images or None,
    }


def _modalities(usage: Any, *names: str) -> dict[str, int]:
    counted: dict[str, int] = {}
    for name in names:
        for modality, count in counts_by(usage, name, "modality", "tokenCount"):
            counted[modality] = counted.get(modality, 0) + count
    return counted


def read_embedding(response: Json, is_final: bool = True) -> dict[str, Any]:
    """Fields of the event of embeddings: Gemini reports usage, Vertex counts each text."""
    usage = response.get("usageMetadata")
    if isinstance(usage, dict):
        return read(response, is_final)
    told = [p.get("embeddings") for p in objects_at(response, "predictions")]
    each = [count_at(found, "statistics", "token_count") for found in told]
    known = [count for count in each if count is not None]
    return with_source({"input_tokens": sum(known) if known else None}, None, is_final)


def input_messages(request: Json) -> list[Any] | None:
    """The prompt, as it was sent, the system's first."""
    contents, system = request.get("contents"), request.get("systemInstruction")
    first = [{"role": "system", **system}] if isinstance(system, dict) else []
    return first + list(contents) if isinstance(contents, (list, tuple)) else None


def output_messages(response: Json) -> list[Any] | None:
    """The completion."""
    return [c.get("content") for c in objects_at(response, "candidates")] or None


class ContentStream:
    """Puts the chunks of an answer together; counts in them are sums so far."""

    def __init__(self) -> None:
        self.response: dict[str, Any] = {}
        self.is_final = False
        self._candidates: dict[int, dict[str, Any]] = {}

    def add(self, _event: str, chunk: Json) -> None:
        """One chunk, in order."""
        for name in ("responseId", "modelVersion", "promptFeedback", "error"):
            if chunk.get(name):
                self.response[name] = chunk[name]
        usage = chunk.get("usageMetadata")
        if isinstance(usage, dict):
            self.response["usageMetadata"] = {**self.response.get("usageMetadata", {}), **usage}
        # A prompt that is blocked has no answer that could end.
        self.is_final |= bool(chunk.get("promptFeedback"))
        for candidate in objects_at(chunk, "candidates"):
            self._add_candidate(candidate)
        self.response["candidates"] = [self._candidates[at] for at in sorted(self._candidates)]

    def _add_candidate(self, chunk: Json) -> None:
        empty = {"content": {"role": "model", "parts": [{"text": ""}]}}
        candidate = self._candidates.setdefault(chunk.get("index") or 0, empty)
        for part in objects_at(chunk.get("content"), "parts"):
            candidate["content"]["parts"][0]["text"] += text_at(part, "text") or ""
        if chunk.get("finishReason"):
            candidate["finishReason"] = chunk["finishReason"]
            self.is_final = True
