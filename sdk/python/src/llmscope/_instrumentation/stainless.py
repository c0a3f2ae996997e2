"""Clients that Stainless generates: openai, anthropic, groq.

Every method of theirs, plain or raw, whole or streamed, goes through `request` of the client: that
one method is covered, on the class or on one client, and nothing else is touched.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple
from urllib.parse import parse_qs, urlsplit

from llmscope import _state
from llmscope._instrumentation.batches import BatchReading, reading_of
from llmscope._instrumentation.covering import Methods
from llmscope._instrumentation.guard import guarded
from llmscope._instrumentation.library import Library
from llmscope._instrumentation.litellm import is_calling
from llmscope._instrumentation.observation import Observation, parsed
from llmscope._instrumentation.streams import BodyObserver, StreamObserver, content_type_of
from llmscope._instrumentation.watching import watch
from llmscope._providers.apis import Api, api_of, provider_at
from llmscope._providers.catalog import ANTHROPIC_APIS, OPENAI_APIS

# What of an answer its event is made of; texts and vectors stay where they are.
_ANSWER_FIELDS = (
    "id", "model", "usage", "service_tier", "status", "stop_reason", "incomplete_details", "error",
    "x_groq",
)  # fmt: skip
_CONTENT_FIELDS = ("content", "output")
# Mistral refuses fields that it does not know; Azure did before this version.
_REFUSE_STREAM_OPTIONS = frozenset({"mistral_ai"})
_FIRST_AZURE_VERSION = "2024-09-01"


class _Source(NamedTuple):
    """Whose calls they are.

    Attributes:
        provider_name: Who answers at an address that is not known.
    """

    provider_name: str
    apis: Mapping[str, Api]


def _library(package: str, apis: Mapping[str, Api]) -> Library:
    source = _Source(package, apis)
    covers = (
        ("SyncAPIClient", functools.partial(_covered, source)),
        ("AsyncAPIClient", functools.partial(_covered_async, source)),
    )
    return Library(
        package=package,
        places=tuple(
            Methods(f"{package}._base_client", owner, {"request": cover}) for owner, cover in covers
        ),
        apis=apis,
        # `with_options` of a wrapped client makes another client.
        copiers=("copy", "with_options"),
    )


def _covered(source: _Source, original: Callable[..., Any]) -> Callable[..., Any]:
    """`request` of a client, recorded. Takes and gives what `original` does."""

    @functools.wraps(original)
    def request(client: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        started = _begin(source, client, options, kwargs)
        if started is None:
            return original(client, cast_to, options, *args, **kwargs)
        try:
            result = original(client, cast_to, started.options, *args, **kwargs)
        except BaseException as error:
            started.fail(error)
            raise
        started.succeed(result)
        return result

    return request


def _covered_async(source: _Source, original: Callable[..., Any]) -> Callable[..., Any]:
    """`_covered` for the asynchronous client."""

    @functools.wraps(original)
    async def request(client: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        started = _begin(source, client, options, kwargs)
        if started is None:
            return await original(client, cast_to, options, *args, **kwargs)
        try:
            result = await original(client, cast_to, started.options, *args, **kwargs)
        except BaseException as error:
            started.fail(error)
            raise
        started.succeed(result)
        return result

    return request


class _Started(NamedTuple):
    observation: Observation
    options: Any
    is_stream: bool
    hides_usage: bool

    def fail(self, error: BaseException) -> None:
        with guarded():
            self.observation.end(error)

    def succeed(self, result: Any) -> None:
        with guarded():
            _take(self, result)


def _begin(
    source: _Source, client: Any, options: Any, kwargs: Any
) -> _Started | BatchReading | None:
    """None where this is no call of a model, or nothing is recorded."""
    with guarded():
        if _state.current() is None:
            return None
        api = api_of(source.apis, str(options.url)) if str(options.method) == "post" else None
        if api is None:
            provider = provider_at(str(client.base_url), source.provider_name)
            return reading_of(options, provider)
        if is_calling():
            return None
        provider = provider_at(str(client.base_url), source.provider_name)
        body, is_stream = options.json_data, bool(kwargs.get("stream"))
        observation = Observation(api, provider, body, is_stream)
        if is_stream and api.asks_usage and _may_ask_usage(provider, client, body):
            return _Started(observation, _asking_usage(options), is_stream, hides_usage=True)
        return _Started(observation, options, is_stream, hides_usage=False)
    return None


def _may_ask_usage(provider: str, client: Any, body: Any) -> bool:
    current = _state.current()
    if current is None or not current.options.asks_for_stream_usage or not isinstance(body, dict):
        return False
    asked = body.get("stream_options")
    if (isinstance(asked, dict) and "include_usage" in asked) or provider in _REFUSE_STREAM_OPTIONS:
        return False
    version = getattr(client, "_api_version", None) or _version_in(str(client.base_url))
    return not isinstance(version, str) or version >= _FIRST_AZURE_VERSION


def _version_in(url: str) -> str | None:
    found = parse_qs(urlsplit(url).query).get("api-version")
    return found[0] if found else None


def _asking_usage(options: Any) -> Any:
    """A copy: the application may send its own options again."""
    asking = copy.copy(options)
    asked = options.json_data.get("stream_options")
    given = asked if isinstance(asked, dict) else {}
    asking.json_data = {**options.json_data, "stream_options": {**given, "include_usage": True}}
    return asking


def _take(started: _Started, result: Any) -> None:
    observation = started.observation
    members = getattr(result, "__dict__", {})
    response = members.get("http_response") or members.get("response")
    if response is None or not hasattr(response, "iter_bytes"):
        observation.answer(_answer_of(result, observation.has_content))
        observation.status(200)
        observation.end()
        return
    observation.status(response.status_code)
    if started.is_stream:
        content_type = content_type_of(response)
        watch(response, StreamObserver(observation, content_type, started.hides_usage))
    elif response.is_closed:
        observation.answer(parsed(response.content))
        observation.end()
    else:
        watch(response, BodyObserver(observation))


def _answer_of(result: Any, has_content: bool) -> dict[str, Any] | None:
    """The parts of a parsed answer that its event needs, as the provider wrote them."""
    names = _ANSWER_FIELDS + _CONTENT_FIELDS if has_content else _ANSWER_FIELDS
    members = _members(result)
    answer = {name: _plain(members[name]) for name in names if members.get(name) is not None}
    if isinstance(members.get("choices"), list):
        answer["choices"] = [_choice(_members(c), has_content) for c in members["choices"]]
    if not has_content and "output" in members:
        answer["output"] = []
    return answer or None


def _members(model: Any) -> dict[str, Any]:
    """Asking a model for what it has not takes pydantic 4 us a name, and most have few."""
    extra = getattr(model, "__pydantic_extra__", None)
    members = getattr(model, "__dict__", {})
    return {**members, **extra} if extra else members


def _choice(choice: dict[str, Any], has_content: bool) -> dict[str, Any]:
    plain = {"finish_reason": choice.get("finish_reason")}
    if has_content:
        plain["message"] = _plain(choice.get("message"))
        plain["text"] = choice.get("text")
    return plain


def _plain(value: Any) -> Any:
    """JSON of a model of pydantic 1 or 2; fields that the provider did not send are left out."""
    if isinstance(value, (str, dict)):
        return value
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False)
    return value.dict(by_alias=True, exclude_unset=True) if hasattr(value, "__fields__") else value


OPENAI = _library("openai", OPENAI_APIS)
ANTHROPIC = _library("anthropic", ANTHROPIC_APIS)
GROQ = _library("groq", OPENAI_APIS)
