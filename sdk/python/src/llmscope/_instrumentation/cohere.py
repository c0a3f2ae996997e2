"""cohere: every call of every version passes the two methods of its `HttpClient`."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Callable

from llmscope import _state
from llmscope._instrumentation.calls import Begun, begun_by, covered, covered_async
from llmscope._instrumentation.covering import Methods
from llmscope._instrumentation.library import Library
from llmscope._instrumentation.observation import Observation
from llmscope._instrumentation.streams import watch_response
from llmscope._providers.apis import api_of, provider_at
from llmscope._providers.catalog import COHERE_APIS

_MODULE = "cohere.core.http_client"


def _begin(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Begun | None:
    return _begun(client, args, kwargs, is_stream=False)


def _begin_stream(client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Begun | None:
    return _begun(client, args, kwargs, is_stream=True)


def _begun(client: Any, args: Any, kwargs: dict[str, Any], is_stream: bool) -> Begun | None:
    path = args[0] if args else kwargs.get("path")
    api = api_of(COHERE_APIS, path or "")
    # The method calls itself to try again.
    is_retry = bool(kwargs.get("retries"))
    if api is None or is_retry or kwargs.get("method") != "POST" or _state.current() is None:
        return None
    address = kwargs.get("base_url") or (client.base_url() if client.base_url else "")
    provider = provider_at(address, "cohere")
    observation = Observation(api, provider, kwargs.get("json"), is_stream)

    def take(response: Any) -> Any:
        watch_response(observation, response, is_stream)
        return response

    return Begun(observation, take)


def _covered_stream(original: Callable[..., Any]) -> Callable[..., Any]:
    @contextmanager
    @functools.wraps(original)
    def stream(client: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        begun = begun_by(_begin_stream, client, args, kwargs)
        try:
            with original(client, *args, **kwargs) as response:
                yield response if begun is None else begun.succeed(response)
        except BaseException as error:
            # Says nothing new where the response has told of its end.
            if begun is not None:
                begun.fail(error)
            raise

    return stream


def _covered_async_stream(original: Callable[..., Any]) -> Callable[..., Any]:
    @asynccontextmanager
    @functools.wraps(original)
    async def stream(client: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        begun = begun_by(_begin_stream, client, args, kwargs)
        try:
            async with original(client, *args, **kwargs) as response:
                yield response if begun is None else begun.succeed(response)
        except BaseException as error:
            if begun is not None:
                begun.fail(error)
            raise

    return stream


def _parts(client: Any) -> Iterable[Any]:
    wrapper = getattr(client, "_client_wrapper", None)
    return (wrapper.httpx_client,) if wrapper is not None else ()


COHERE = Library(
    package="cohere",
    places=(
        Methods(_MODULE, "HttpClient", {"request": covered(_begin), "stream": _covered_stream}),
        Methods(
            _MODULE,
            "AsyncHttpClient",
            {"request": covered_async(_begin), "stream": _covered_async_stream},
        ),
    ),
    apis=COHERE_APIS,
    parts=_parts,
)
