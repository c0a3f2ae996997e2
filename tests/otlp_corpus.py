"""The recorded OTLP requests, and what the calls in them were in truth."""

import gzip
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from ingest_api.events import Event
from ingest_api.otlp.providers import NAMES, provider_at
from ingest_api.otlp.spans import Span

DIALECTS: Final = (
    "logfire", "openinference", "openlit", "openllmetry", "otel-openai-v2",
    "otel-openai-v2-latest", "vercel-ai-sdk",
)  # fmt: skip
ANTHROPIC: Final = "anthropic"


class Recording(NamedTuple):
    """One export request in both forms, and the one call that it tells of."""

    json_body: bytes
    protobuf_body: bytes
    truth: dict[str, Any]


def recordings(corpus: Path, dialect: str) -> list[Recording]:
    """All requests of a dialect, in their order."""
    stem = corpus / "otlp-replayed" / dialect
    with gzip.open(f"{stem}.otlp.jsonl.gz") as file:
        json_bodies = file.read().splitlines()
    truths = [json.loads(line) for line in Path(f"{stem}.truth.jsonl").read_text().splitlines()]
    bodies = zip(json_bodies, _frames(Path(f"{stem}.pb.gz")), truths, strict=True)
    return [Recording(*parts) for parts in bodies]


def _frames(path: Path) -> Iterator[bytes]:
    """Each request stands behind its length, 4 bytes, big-endian."""
    data, start = gzip.decompress(path.read_bytes()), 0
    while start < len(data):
        (size,) = struct.unpack_from(">I", data, start)
        yield data[start + 4 : start + 4 + size]
        start += 4 + size


class Difference(NamedTuple):
    """Where an event is not what the call was, and why it cannot be."""

    fact: str
    cause: str


def provider_in_truth(truth: dict[str, Any]) -> str:
    """The provider's name as the ledger has it."""
    name: str = truth["provider"]
    return NAMES.get(name, name)


def tokens_in_truth(truth: dict[str, Any]) -> tuple[int | None, int | None]:
    """Inclusive input and output, from what the provider said: Anthropic leaves out the cache."""
    said = truth["provider_tokens"]
    if said["input"] is None or truth["provider"] != ANTHROPIC:
        return said["input"], said["output"]
    return said["input"] + (said["cache_read"] or 0) + (said["cache_write"] or 0), said["output"]


def differences(event: Event, span: Span, truth: dict[str, Any]) -> list[Difference]:
    """Every fact of the call that the event has not, with the cause where the span has it not."""
    found = []
    if event.provider_name != provider_in_truth(truth):
        found.append(Difference("provider", _provider_cause(span, truth)))
    if not _models(truth) & {event.request_model, event.response_model}:
        found.append(Difference("model", ""))
    if truth["span_usage"] and not _same_tokens(event, truth):
        found.append(Difference("tokens", _tokens_cause(event, span, truth)))
    is_error = truth["http_status"] >= 400 or bool(truth["client_error"])
    if is_error != (event.error_type is not None):
        found.append(Difference("status", _status_cause(span, truth)))
    return found


def _provider_cause(span: Span, truth: dict[str, Any]) -> str:
    """A client of OpenAI that talks to a server with its API: whatever the span names is OpenAI."""
    address = span.facts.get("address")
    if address and provider_at(address) == provider_in_truth(truth):
        return ""
    named = {span.attributes.get(name) for name in ("llm.provider", "gen_ai.provider.name")}
    if truth["provider"] in named:
        return ""
    return "the span names the client's provider and no known address"


def _models(truth: dict[str, Any]) -> set[str | None]:
    """OpenLLMetry cuts the vendor that OpenRouter wants before a model's name."""
    asked = truth["req_model"]
    return {asked, asked.partition("/")[2] or asked} | {
        said["model"] for said in truth["span_usage"].values() if said["model"]
    }


def _same_tokens(event: Event, truth: dict[str, Any]) -> bool:
    """An embedding has no output: absent and 0 are the same."""
    input_tokens, output_tokens = tokens_in_truth(truth)
    return (event.input_tokens, event.output_tokens or 0) == (input_tokens, output_tokens or 0)


def _tokens_cause(event: Event, span: Span, truth: dict[str, Any]) -> str:
    said = next(iter(truth["span_usage"].values()))
    if (event.input_tokens, event.output_tokens) != (said["input"], said["output"]):
        return ""
    if event.usage_source == "estimated":
        return "OpenLIT counts streamed Chat Completions itself; the event says `estimated`"
    if span.scope_name == "openlit" and truth["provider"] == ANTHROPIC:
        if truth["stream"] and truth["provider_tokens"]["input"] != said["input"]:
            return "OpenLIT reads the input of a stream at its start"
        return "OpenLIT leaves out what Anthropic read from its cache or wrote to it"
    if truth["stream"] and "opentelemetry.instrumentation.anthropic" in span.scope_name:
        return "OpenLLMetry adds the output of a stream's first message to its last"
    if len(truth["usage"]) > 1 and truth["provider"] == "groq":
        return "one answer of groq/compound reports the usage of several models"
    if "compaction" in truth["cassette"]:
        return "one answer has two iterations, and the dialect sums what the provider does not"
    return ""


def _status_cause(span: Span, truth: dict[str, Any]) -> str:
    if truth["client_error"] and not span.is_error:
        return "the caller's error came after the span had ended without one"
    if truth["http_status"] == 200 and span.facts.get("error_type") == "content_filter":
        return "an answer with status 200 whose body is an error"
    return ""
