"""huggingface_hub: every task of an InferenceClient passes its `_inner_post`.

Its streams are not asked for usage: most servers behind the router send it anyway, and what was
sent on our account alone could not be told from that.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Iterable
from typing import Any
from urllib.parse import urlsplit

from llmscope import _state
from llmscope._instrumentation.calls import Begun, covered, covered_async
from llmscope._instrumentation.covering import Methods
from llmscope._instrumentation.library import Library
from llmscope._instrumentation.observation import Observation, parsed
from llmscope._instrumentation.streams import ChunkObserver
from llmscope._instrumentation.watching import AsyncItems, Items
from llmscope._providers.apis import Api, api_of, provider_at
from llmscope._providers.catalog import HUGGING_FACE_APIS
from llmscope._providers.reading import Json


def _api(request: Any) -> Api | None:
    task = HUGGING_FACE_APIS.get(f"/{request.task}")
    return api_of(HUGGING_FACE_APIS, request.url) or task


def _begun(args: Any, kwargs: dict[str, Any], items: Any) -> Begun | None:
    request = args[0] if args else kwargs["request_parameters"]
    api = _api(request)
    if api is None or _state.current() is None:
        return None
    body, is_stream = request.json, bool(kwargs.get("stream"))
    provider = provider_at(request.url, "hugging_face")
    observation = Observation(api, provider, body, is_stream, _model(request))
    if not is_stream:
        return Begun(observation, lambda body: _take(observation, body))
    return Begun(observation, lambda lines: items(lines, _Lines(observation)))


def _model(request: Any) -> str | None:
    """An endpoint of one's own serves one model: it is named by its address."""
    in_body = request.json.get("model") if isinstance(request.json, dict) else None
    model = in_body or request.model or request.url
    return urlsplit(model).hostname if "://" in model else str(model)


def _take(observation: Observation, body: Any) -> Any:
    observation.status(200)
    observation.answer_from(lambda: _answer(body))
    observation.end()
    return body


def _answer(body: Any) -> Json | None:
    """Generated texts may come in a list of one."""
    found = parsed(body) if isinstance(body, (bytes, str)) else None
    if found is None and isinstance(body, (bytes, str)) and body[:1] in (b"[", "["):
        listed = json.loads(body)
        found = listed[0] if listed and isinstance(listed[0], dict) else None
    return found


class _Lines(ChunkObserver):
    def see(self, line: Any) -> None:
        """One line of a stream."""
        text = line.decode() if isinstance(line, bytes) else line
        if text.startswith("data:") and text[5:].strip().startswith("{"):
            self.observation.status(200)
            self.add("", json.loads(text[5:]))


def _items(lines: Iterable[Any], observer: _Lines) -> Items:
    return Items(iter(lines), observer)


def _async_items(lines: AsyncIterable[Any], observer: _Lines) -> AsyncItems:
    return AsyncItems(lines.__aiter__(), observer)


def _begin(_client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Begun | None:
    return _begun(args, kwargs, _items)


def _begin_async(_client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Begun | None:
    return _begun(args, kwargs, _async_items)


HUGGING_FACE = Library(
    package="huggingface_hub",
    places=(
        Methods(
            "huggingface_hub.inference._client",
            "InferenceClient",
            {"_inner_post": covered(_begin)},
        ),
        Methods(
            "huggingface_hub.inference._generated._async_client",
            "AsyncInferenceClient",
            {"_inner_post": covered_async(_begin_async)},
        ),
    ),
    apis=HUGGING_FACE_APIS,
)
