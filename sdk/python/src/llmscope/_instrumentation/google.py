"""google-genai: every call, plain or asynchronous, passes the `_api_client` of its client."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from llmscope import _state
from llmscope._instrumentation.calls import Begun, covered, covered_async, covered_generator
from llmscope._instrumentation.covering import Methods
from llmscope._instrumentation.library import Library
from llmscope._instrumentation.observation import Observation, parsed
from llmscope._instrumentation.streams import ChunkObserver
from llmscope._instrumentation.watching import AsyncItems, Items
from llmscope._providers.apis import api_of, provider_at
from llmscope._providers.catalog import GOOGLE_APIS


def _observation(client: Any, path: str, request: Any, is_stream: bool) -> Observation | None:
    api = api_of(GOOGLE_APIS, path)
    if api is None or _state.current() is None:
        return None
    is_vertex = bool(getattr(client, "vertexai", False))
    provider = "gcp.vertex_ai" if is_vertex else provider_at(_address(client), "gcp.gemini")
    model = path.split("?")[0].rpartition("/")[2].rpartition(":")[0]
    return Observation(api, provider, request, is_stream, model)


def _address(client: Any) -> str:
    return str(getattr(client._http_options, "base_url", None) or "")


def _begin(client: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Begun | None:
    _method, path, request = args[:3]
    observation = _observation(client, path, request, is_stream=False)
    if observation is None:
        return None
    return Begun(observation, lambda result: _take(observation, result))


def _take(observation: Observation, result: Any) -> Any:
    body = getattr(result, "body", None)
    observation.status(200)
    observation.answer_from(lambda: parsed(body or ""))
    observation.end()
    return result


class _Chunks(ChunkObserver):
    def see(self, chunk: Any) -> None:
        """One chunk, as the library hands it to itself."""
        self.observation.status(200)
        self.add("", json.loads(chunk.body))


def _begin_stream(client: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Begun | None:
    _method, path, request = args[:3]
    observation = _observation(client, path, request, is_stream=True)
    if observation is None:
        return None
    return Begun(observation, lambda chunks: Items(chunks, _Chunks(observation)))


def _begin_async_stream(
    client: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]
) -> Begun | None:
    _method, path, request = args[:3]
    observation = _observation(client, path, request, is_stream=True)
    if observation is None:
        return None
    return Begun(observation, lambda chunks: AsyncItems(chunks, _Chunks(observation)))


def _parts(client: Any) -> Iterable[Any]:
    found = getattr(client, "_api_client", None)
    return (found,) if found is not None else ()


GOOGLE = Library(
    package="google.genai",
    places=(
        Methods(
            "google.genai._api_client",
            "BaseApiClient",
            {
                "request": covered(_begin),
                "async_request": covered_async(_begin),
                "request_streamed": covered_generator(_begin_stream),
                "async_request_streamed": covered_async(_begin_async_stream),
            },
        ),
    ),
    apis=GOOGLE_APIS,
    parts=_parts,
)
