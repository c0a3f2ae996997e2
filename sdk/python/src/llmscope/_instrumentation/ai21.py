"""ai21: every call passes `execute_http_request` of the client."""

from __future__ import annotations

from typing import Any

from llmscope import _state
from llmscope._instrumentation.calls import Begun, covered, covered_async
from llmscope._instrumentation.covering import Methods
from llmscope._instrumentation.library import Library
from llmscope._instrumentation.observation import Observation
from llmscope._instrumentation.streams import watch_response
from llmscope._providers.apis import api_of, provider_at
from llmscope._providers.catalog import AI21_APIS


def _begin(client: Any, _args: tuple[Any, ...], kwargs: dict[str, Any]) -> Begun | None:
    api = api_of(AI21_APIS, str(kwargs.get("path") or ""))
    if api is None or _state.current() is None:
        return None
    is_stream = bool(kwargs.get("stream"))
    provider = provider_at(str(client._base_url), "ai21")
    observation = Observation(api, provider, kwargs.get("body"), is_stream)

    def take(response: Any) -> Any:
        watch_response(observation, response, is_stream)
        return response

    return Begun(observation, take)


AI21 = Library(
    package="ai21",
    places=(
        Methods(
            "ai21.http_client.http_client",
            "AI21HTTPClient",
            {"execute_http_request": covered(_begin)},
        ),
        Methods(
            "ai21.http_client.async_http_client",
            "AsyncAI21HTTPClient",
            {"execute_http_request": covered_async(_begin)},
        ),
    ),
    apis=AI21_APIS,
)
