"""Recorded calls of providers, replayed through the real client libraries."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import groq
import openai
import yaml

import llmscope
from tests.providers import http_of

CORPUS = Path(
    os.environ.get("LLMSCOPE_CORPUS") or Path(__file__).resolve().parents[4] / "shared" / "data"
)
FOLDERS = (
    "cassettes-openllmetry", "cassettes-otel-contrib", "cassettes-pydantic-ai",
    "cassettes-simonw-llm",
)  # fmt: skip
# Recorded providers, and how the ledger names them. All of the last ones speak OpenAI's API.
PROVIDERS = {
    "anthropic": "anthropic", "groq": "groq", "openai": "openai", "azure": "azure.ai.openai",
    "cerebras": "cerebras", "deepseek": "deepseek", "openrouter": "openrouter",
}  # fmt: skip
ENDINGS = ("/chat/completions", "/completions", "/embeddings", "/responses", "/v1/messages")
DROPPED_HEADERS = {"content-encoding", "content-length", "transfer-encoding"}
# Recordings whose event rightly differs, by a part of their name.
EXPLAINED = {
    "test_prompt_content_filtering": "the body behind the status of 200 is an error",
    "test_groq_model_web_search_tool": "the index names one of several models, the SDK their sum",
    "test_groq_web_search_tool_domain": "the index names one of several models, the SDK their sum",
}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Recording(NamedTuple):
    """One call as it was recorded.

    Attributes:
        provider: As the index names it.
        base_url: What a client points to, and the path below it.
        usage: The usage objects of the answer, in their order.
    """

    id: str
    provider: str
    base_url: str
    path: str
    request: dict[str, Any]
    status: int
    headers: dict[str, str]
    body: bytes
    usage: list[dict[str, Any]]


def recordings(every: int = 1) -> Iterator[Recording]:
    """Each recorded call that the SDK claims to record and whose file is there; each n-th."""
    for folder in FOLDERS:
        index = CORPUS / folder / "index.jsonl"
        lines = index.read_text().splitlines() if index.exists() else []
        claimed = [entry for entry in map(json.loads, lines) if _is_claimed(entry)]
        for entry in claimed[::every]:
            found = _recording(CORPUS / folder, entry)
            if found is not None:
                yield found


def _is_claimed(entry: dict[str, Any]) -> bool:
    is_call = entry["method"] == "POST" and entry["path"].split("?")[0].endswith(ENDINGS)
    return is_call and entry["provider"] in PROVIDERS


def _recording(folder: Path, entry: dict[str, Any]) -> Recording | None:
    path = folder / entry["file"]
    if not path.exists():
        return None
    interaction = _interactions(path)[entry["i"]]
    request, response = interaction["request"], interaction["response"]
    body = _text(request)
    uri = request["uri"].split("?")[0]
    ending = next(e for e in ENDINGS if uri.endswith(e))
    headers = {name.lower(): value for name, value in response["headers"].items()}
    told = {
        name: value[0] if isinstance(value, list) else value
        for name, value in headers.items()
        if name not in DROPPED_HEADERS
    }
    answer = _text(response)
    # Some recorders unpack what they record, and keep the header that says it is packed.
    answer = gzip.decompress(answer) if answer.startswith(b"\x1f\x8b") else answer
    return Recording(
        f"{folder.name}/{entry['id']}", entry["provider"], uri[: -len(ending)], ending,
        json.loads(body), entry["status"], told, answer, entry["usage"],
    )  # fmt: skip


@lru_cache(maxsize=4)
def _interactions(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=_LOADER)["interactions"]  # noqa: S506 - a safe loader


def _text(part: dict[str, Any]) -> bytes:
    """Some recorders keep the body as text, some as bytes, some as what its JSON meant."""
    if "parsed_body" in part:
        return json.dumps(part["parsed_body"]).encode()
    body = part.get("body")
    body = body.get("string") if isinstance(body, dict) else body
    return body if isinstance(body, bytes) else str(body or "").encode()


def replay(recording: Recording) -> Any:
    """What an application gets of the call: its value, all chunks, or the exception."""
    try:
        result = _call(recording)
        if isinstance(result, (openai.Stream, anthropic.Stream, groq.Stream)):
            return [chunk.to_dict() for chunk in result]
        return result.to_dict() if hasattr(result, "to_dict") else result
    except Exception as error:
        return (type(error), str(error))


def _call(recording: Recording) -> Any:
    request = dict(recording.request)
    is_stream = {"stream": True} if request.pop("stream", False) else {}
    library = {"anthropic": anthropic, "groq": groq}.get(recording.provider, openai)
    client = _client(library, recording)
    create, names = _method(client, recording.path)
    given = {name: request.pop(name) for name in names if name in request}
    return create(**given, **is_stream, extra_body=request or None)


def _client(library: Any, recording: Recording) -> Any:
    http = http_of(library)

    def answer(_request: Any) -> Any:
        return http.Response(recording.status, headers=recording.headers, content=recording.body)

    kind = {anthropic: "Anthropic", groq: "Groq"}.get(library, "OpenAI")
    url = recording.base_url.removesuffix("/openai/v1") if library is groq else recording.base_url
    transport = http.Client(transport=http.MockTransport(answer))
    make = getattr(library, kind)
    return make(api_key="sk-test", base_url=url, http_client=transport, max_retries=0)


def _method(client: Any, path: str) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """The method of the library, and the parts of the request that it must be given by name."""
    if path == "/v1/messages":
        return client.messages.create, ("model", "messages", "max_tokens")
    if path == "/responses":
        return client.responses.create, ("model", "input", "stream_options")
    if path == "/embeddings":
        return client.embeddings.create, ("model", "input", "encoding_format")
    if path == "/completions":
        return client.completions.create, ("model", "prompt", "stream_options")
    chat = client.chat.completions
    names = ("model", "messages", "stream_options")
    return chat.create, names[:2] if isinstance(client, groq.Groq) else names


class Capture:
    """Keeps the events of a program to itself: they end in the redaction."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        llmscope.init(api_key="k", redact=self._keep, spool_directory="off")

    def _keep(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def take(self) -> list[dict[str, Any]]:
        """The events since the last time."""
        assert llmscope.flush(10)
        taken, self.events = self.events, []
        return taken


def explanation(recording: Recording) -> str:
    """Why the event of a recording differs, where that is known."""
    found = (words for part, words in EXPLAINED.items() if part in recording.id)
    return next(found, "")


def differences(recording: Recording, result: Any, events: list[dict[str, Any]]) -> list[str]:
    """What the captured events say otherwise than the recording, in words.

    `result` is what an application got without the SDK.
    """
    if len(events) != 1:
        return [f"{len(events)} events"]
    (event,) = events
    expected = {
        "provider_name": PROVIDERS[recording.provider],
        "request_model": recording.request.get("model"),
        "is_error": isinstance(result, tuple),
        **_expected_counts(recording),
    }
    captured = {**event, "is_error": "error_type" in event}
    if recording.status >= 400:
        expected["http_status_code"] = recording.status
    return [
        f"{name} is {captured.get(name)!r}, recorded {value!r}"
        for name, value in expected.items()
        if (captured.get(name) or None) != (value or None)
    ]


def _expected_counts(recording: Recording) -> dict[str, Any]:
    """Read from the index without a line of the SDK."""
    usage: dict[str, Any] = {}
    for entry in recording.usage:
        usage.update({k: v for k, v in (_found_usage(entry) or {}).items() if v is not None})
    read = usage.get("cache_read_input_tokens") or 0
    written = usage.get("cache_creation_input_tokens") or 0
    inputs = usage.get("prompt_tokens_details") or usage.get("input_tokens_details") or {}
    outputs = usage.get("completion_tokens_details") or usage.get("output_tokens_details") or {}
    if recording.provider == "anthropic":
        return {
            "input_tokens": (usage.get("input_tokens") or 0) + read + written,
            "output_tokens": usage.get("output_tokens"),
            "cache_read_input_tokens": read,
            "cache_write_input_tokens": written,
            "reasoning_output_tokens": outputs.get("thinking_tokens"),
        }
    return {
        "input_tokens": usage.get("prompt_tokens", usage.get("input_tokens")),
        "output_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
        "cache_read_input_tokens": inputs.get("cached_tokens"),
        "reasoning_output_tokens": outputs.get("reasoning_tokens"),
    }


def _found_usage(entry: Any) -> dict[str, Any] | None:
    if not isinstance(entry, dict):
        return None
    for name in ("usage", "x_groq", "response", "message"):
        if isinstance(entry.get(name), dict):
            inner = entry[name]
            return inner if name == "usage" else _found_usage(inner) or inner
    return entry
