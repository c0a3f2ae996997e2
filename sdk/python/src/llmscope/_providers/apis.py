"""Which requests are calls of a model, and how their answers are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Callable, NamedTuple, Optional, Protocol
from urllib.parse import urlsplit

from llmscope._providers import anthropic, openai
from llmscope._providers.hosts import HOST_ENDINGS
from llmscope._providers.reading import Json

Read = Callable[[Json, bool], dict[str, Any]]
Messages = Callable[[Json], Optional[list[Any]]]


class StreamReader(Protocol):
    """Puts the events of a stream together to one answer."""

    response: dict[str, Any]
    is_final: bool

    def add(self, event: str, data: Json) -> None:
        """One event, in order."""


class Api(NamedTuple):
    """One kind of call.

    Attributes:
        asks_usage: Whether its streams report usage only when asked to.
    """

    operation_name: str
    read: Read
    stream: Callable[[], StreamReader]
    input_messages: Messages
    output_messages: Messages
    asks_usage: bool = False


def _openai(
    operation: str, stream: Callable[[], StreamReader] = openai.ChatStream, asks: bool = False
) -> Api:
    return Api(operation, openai.read, stream, openai.input_messages, openai.output_messages, asks)


OPENAI_APIS: Mapping[str, Api] = {
    "/chat/completions": _openai("chat", asks=True),
    "/completions": _openai("text_completion", asks=True),
    "/embeddings": _openai("embeddings"),
    "/responses": _openai("chat", openai.ResponseStream),
    "/images/generations": _openai("image_generation"),
    "/images/edits": _openai("image_generation"),
    "/audio/transcriptions": _openai("transcription"),
}
ANTHROPIC_APIS: Mapping[str, Api] = {
    "/v1/messages": Api(
        "chat", anthropic.read, anthropic.MessageStream,
        anthropic.input_messages, anthropic.output_messages,
    ),
}  # fmt: skip
# Azure put the deployment into the path before its `v1`, and Groq its vendor.
_PREFIX = re.compile(r"^(/openai)?(/v1|/deployments/[^/]+)?(?=/)")


def api_of(apis: Mapping[str, Api], url: str) -> Api | None:
    """What a request to `url`, or to a path, calls; None where it is no call of a model."""
    path, bare_path = _paths_of(url)
    return apis.get(path) or apis.get(bare_path)


@lru_cache(maxsize=256)
def _paths_of(url: str) -> tuple[str, str]:
    path = urlsplit(url).path
    path = path if path.startswith("/") else f"/{path}"
    return path, _PREFIX.sub("", path, count=1)


@lru_cache(maxsize=256)
def provider_at(address: str, otherwise: str) -> str:
    """Who answers at an address: a client of one provider often talks to another."""
    host = urlsplit(address).hostname or ""
    for ending, provider in HOST_ENDINGS:
        if host.endswith(ending):
            return provider
    return otherwise


def answer_fields(
    api: Api, response: Json | None, is_final: bool, has_content: bool
) -> dict[str, Any]:
    """Fields of the event of an answer; without one, nobody counted."""
    if response is None:
        return {"usage_source": "missing"}
    fields = {**api.read(response, is_final), **_failure(response)}
    if has_content:
        fields["output_messages"] = api.output_messages(response)
    return fields


def _failure(response: Json) -> dict[str, Any]:
    """An answer may be a failure behind a status of 200."""
    error = response.get("error")
    if not error:
        return {}
    if not isinstance(error, dict):
        return {"error_type": "error", "error_message": str(error)}
    kind = error.get("type") or error.get("code") or "error"
    return {"error_type": str(kind), "error_message": str(error.get("message") or "")}
