"""Which requests are calls of a model, and how their answers are read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Callable, NamedTuple, Optional, Protocol
from urllib.parse import urlsplit

from llmscope._providers.hosts import HOST_ENDINGS
from llmscope._providers.reading import Json, text_at

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


def api_of(apis: Mapping[str, Api], url: str) -> Api | None:
    """What a request to `url`, or to a path, calls; None where it is no call of a model.

    The longest ending of the path counts: versions, deployments and vendors come before it.
    """
    for ending in endings_of(url):
        if ending in apis:
            return apis[ending]
    return None


@lru_cache(maxsize=256)
def endings_of(url: str) -> tuple[str, ...]:
    """The endings of a path that begin with a slash or a colon, the longest first."""
    path = urlsplit(url).path
    path = path if path.startswith("/") else f"/{path}"
    return tuple(path[at:] for at, character in enumerate(path) if character in "/:")


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
    fields = {**api.read(response, is_final), **failure_in(response)}
    if has_content:
        fields["output_messages"] = api.output_messages(response)
    return fields


def message_in(refusal: Json) -> str | None:
    """What the body of a refused call says."""
    said = failure_in(refusal).get("error_message")
    return said or text_at(refusal, "message") or text_at(refusal, "detail")


def failure_in(response: Json) -> dict[str, Any]:
    """An answer may be a failure behind a status of 200."""
    error = response.get("error")
    if not error:
        return {}
    if not isinstance(error, dict):
        return {"error_type": "error", "error_message": str(error)}
    kind = error.get("type") or error.get("code") or "error"
    return {"error_type": str(kind), "error_message": str(error.get("message") or "")}
