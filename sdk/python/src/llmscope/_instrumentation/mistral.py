"""mistralai: every call passes `do_request` of the part of the client that makes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmscope import _state
from llmscope._instrumentation.calls import Begun, covered, covered_async
from llmscope._instrumentation.covering import Methods
from llmscope._instrumentation.library import Library
from llmscope._instrumentation.observation import Observation, parsed
from llmscope._instrumentation.streams import watch_response
from llmscope._providers.apis import api_of, provider_at
from llmscope._providers.catalog import MISTRAL_APIS

# Parts of a client that call models. The package moved with its second major version.
_PARTS = ("chat", "fim", "agents", "embeddings")
_MODULES = ("mistralai.client.basesdk", "mistralai.basesdk")


def _begin(_client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Begun | None:
    request = args[1] if len(args) > 1 else kwargs["request"]
    api = api_of(MISTRAL_APIS, str(request.url))
    if api is None or _state.current() is None:
        return None
    is_stream = bool(kwargs.get("stream"))
    provider = provider_at(str(request.url), "mistral_ai")
    observation = Observation(api, provider, parsed(request.content), is_stream)

    def take(response: Any) -> Any:
        watch_response(observation, response, is_stream)
        return response

    return Begun(observation, take)


def _parts(client: Any) -> Iterable[Any]:
    found = (getattr(client, name, None) for name in _PARTS)
    return [part for part in found if part is not None]


MISTRAL = Library(
    package="mistralai",
    places=tuple(
        Methods(
            module,
            "BaseSDK",
            {"do_request": covered(_begin), "do_request_async": covered_async(_begin)},
        )
        for module in _MODULES
    ),
    apis=MISTRAL_APIS,
    parts=_parts,
)
