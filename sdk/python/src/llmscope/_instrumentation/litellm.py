"""litellm: its callback tells of each call, whichever provider it goes to.

Where LiteLLM asks by the client of openai, that client leaves the call to the callback.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from llmscope import _state
from llmscope._calls import failure_fields
from llmscope._context import current_fields
from llmscope._instrumentation.covering import Undo
from llmscope._instrumentation.guard import guarded
from llmscope._instrumentation.library import Library
from llmscope._providers import openai
from llmscope._providers.apis import Api
from llmscope._providers.reading import Json, count_at

# What LiteLLM calls a provider, and how the ledger does.
_PROVIDERS = {
    "azure": "azure.ai.openai", "azure_ai": "azure.ai.inference", "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock", "cohere_chat": "cohere", "fireworks_ai": "fireworks",
    "gemini": "gcp.gemini", "huggingface": "hugging_face", "mistral": "mistral_ai",
    "moonshot": "moonshot_ai", "ollama_chat": "ollama", "text-completion-openai": "openai",
    "together_ai": "together", "vertex_ai": "gcp.vertex_ai", "vertex_ai_beta": "gcp.vertex_ai",
    "xai": "x_ai",
}  # fmt: skip
_OPERATIONS = {
    "embedding": "embeddings", "aembedding": "embeddings", "image_generation": "image_generation",
    "aimage_generation": "image_generation", "rerank": "rerank", "arerank": "rerank",
    "text_completion": "text_completion", "atext_completion": "text_completion",
    "transcription": "transcription", "atranscription": "transcription",
}  # fmt: skip
# How far up a call of LiteLLM's is looked for: it has some ten frames of its own above.
_MAX_FRAMES = 40


class _Covering:
    module = "litellm"

    def __init__(self) -> None:
        self.is_covered = False

    def cover(self, module: Any) -> Undo:
        """Add the callback to those of the application."""
        callback = _callback(module)
        module.callbacks.append(callback)
        self.is_covered = True

        def undo() -> None:
            self.is_covered = False
            module.callbacks[:] = [known for known in module.callbacks if known is not callback]

        return undo


def _callback(module: Any) -> Any:
    base = sys.modules[f"{module.__name__}.integrations.custom_logger"].CustomLogger

    # LiteLLM gives all arguments by name.
    class Callback(base):  # type: ignore[misc, valid-type] # known only here
        def log_success_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
        ) -> None:
            _record(kwargs, response_obj, start_time, end_time)

        def log_failure_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
        ) -> None:
            del response_obj
            _record(kwargs, None, start_time, end_time)

        async def async_log_success_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
        ) -> None:
            _record(kwargs, response_obj, start_time, end_time)

        async def async_log_failure_event(
            self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any
        ) -> None:
            del response_obj
            _record(kwargs, None, start_time, end_time)

    return Callback()


def is_calling() -> bool:
    """Whether the call that is about to be made is one of LiteLLM's."""
    frame = sys._getframe(1) if _COVERING.is_covered else None
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return False
        if str(frame.f_globals.get("__name__", "")).startswith("litellm."):
            return True
        frame = frame.f_back
    return False


def _record(kwargs: Mapping[str, Any], response: Any, start: Any, end: Any) -> None:
    with guarded():
        client = _state.current()
        if client is not None:
            fields = _fields(kwargs, _plain(response), start, end)
            if client.options.capture_content:
                fields["input_messages"] = openai.input_messages(dict(kwargs))
                fields["output_messages"] = openai.output_messages(_plain(response) or {})
            client.record(fields, current_fields())


def _fields(kwargs: Mapping[str, Any], answer: Json | None, start: Any, end: Any) -> dict[str, Any]:
    provider = str(kwargs.get("custom_llm_provider") or "litellm")
    fields = {
        "provider_name": _PROVIDERS.get(provider, provider),
        "request_model": kwargs.get("model"),
        "operation_name": _OPERATIONS.get(str(kwargs.get("call_type")), "chat"),
        "is_stream": bool(kwargs.get("stream")),
        "usage_source": "missing",
        "started_at": start.astimezone(timezone.utc).isoformat(),
        "duration_seconds": max((end - start).total_seconds(), 0.0),
    }
    first = kwargs.get("completion_start_time")
    if fields["is_stream"] and isinstance(first, datetime):
        fields["time_to_first_chunk_seconds"] = max((first - start).total_seconds(), 0.0)
    if answer is None:
        return {**fields, **failure_fields(kwargs.get("exception") or _UNKNOWN)}
    read = openai.read(answer)
    # LiteLLM's own guess, from prices of its own.
    read["reported_cost_usd"] = None
    written = count_at(answer.get("usage"), "cache_creation_input_tokens")
    return {**fields, **read, "cache_write_input_tokens": written, "http_status_code": 200}


def _plain(response: Any) -> Json | None:
    if hasattr(response, "model_dump"):
        plain: Json = response.model_dump(exclude_none=True)
        return plain
    return response if isinstance(response, dict) else None


_UNKNOWN = RuntimeError("the call failed")
_COVERING = _Covering()
_APIS: Mapping[str, Api] = {}
LITELLM = Library(package="litellm", places=(_COVERING,), apis=_APIS)
