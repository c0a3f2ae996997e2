"""Recorded calls of providers, replayed through the real client libraries."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

import llmscope
from tests.recorded_usage import expected_counts, requested_model
from tests.replaying import Recording, is_replayed

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
    "google": "gcp.gemini", "google-vertex": "gcp.vertex_ai", "mistral": "mistral_ai",
    "cohere": "cohere", "huggingface": "hugging_face", "aws-bedrock": "aws.bedrock",
    "cerebras": "cerebras", "crusoe": "crusoe", "deepseek": "deepseek", "heroku": "heroku",
    "ollama": "ollama", "openrouter": "openrouter", "snowflake": "snowflake",
    "together": "together", "zai": "zai",
}  # fmt: skip
DROPPED_HEADERS = {"content-encoding", "content-length", "transfer-encoding"}
# Recordings whose event rightly differs, by a part of their name.
EXPLAINED = {
    "opentelemetry-instrumentation-vertexai": "an answer to another library; this one refuses it",
    "test_prompt_content_filtering": "the body behind the status of 200 is an error",
    "test_groq_model_web_search_tool": "the index names one of several models, the SDK their sum",
    "test_groq_web_search_tool_domain": "the index names one of several models, the SDK their sum",
}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def recordings(every: int = 1) -> Iterator[Recording]:
    """Each recorded call that the SDK claims to record and whose file is there; each n-th."""
    for folder in FOLDERS:
        index = CORPUS / folder / "index.jsonl"
        lines = index.read_text().splitlines() if index.exists() else []
        claimed = [entry for entry in map(json.loads, lines) if _is_claimed(folder, entry)]
        for entry in claimed[::every]:
            yield _recording(CORPUS / folder, entry)


def _is_claimed(folder: str, entry: dict[str, Any]) -> bool:
    path, provider = entry["path"].split("?")[0], entry["provider"]
    is_call = (entry["method"] or "").upper() == "POST" and is_replayed(provider, path)
    return is_call and (CORPUS / folder / entry["file"]).exists()


def _recording(folder: Path, entry: dict[str, Any]) -> Recording:
    interaction = _interactions(folder / entry["file"])[entry["i"]]
    request, response = interaction["request"], interaction["response"]
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
        f"{folder.name}/{entry['id']}", entry["provider"], request["uri"].split("?")[0],
        _request(_text(request)), entry["stream"], entry["status"], told, answer,
        entry["usage"], entry["req_model"],
    )  # fmt: skip


def _request(body: bytes) -> dict[str, Any]:
    """What was taken out of some bodies has left no JSON; their answers are whole."""
    try:
        request: dict[str, Any] = json.loads(body or b"{}")
    except ValueError:
        return {}
    return request


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
        "request_model": requested_model(recording),
        "is_stream": recording.is_stream or recording.path.endswith("-stream"),
        "is_error": isinstance(result, tuple),
        **expected_counts(recording),
    }
    captured = {**event, "is_error": "error_type" in event}
    if recording.status >= 400:
        expected["http_status_code"] = recording.status
    return [
        f"{name} is {captured.get(name)!r}, recorded {value!r}"
        for name, value in expected.items()
        if (captured.get(name) or None) != (value or None)
    ]
