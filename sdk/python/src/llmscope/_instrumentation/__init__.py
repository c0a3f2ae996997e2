"""Covers and uncovers the client libraries that are installed."""

from __future__ import annotations

import importlib
import importlib.util
import threading
import types
from collections.abc import Sequence
from typing import Any, Callable, TypeVar

from llmscope._errors import OptionError
from llmscope._instrumentation.stainless import (
    ASYNC_CLASS,
    LIBRARIES,
    SYNC_CLASS,
    Library,
    covered,
    covered_async,
)

Client = TypeVar("Client")
_originals: list[tuple[type, Callable[..., Any]]] = []
_changing = threading.Lock()
# `with_options` of a wrapped client makes another client.
_COPIERS = ("copy", "with_options")


def instrument(libraries: Sequence[str] | None = None) -> list[str]:
    """Record every call of the client libraries that are installed; their names.

    Calls made so far and clients that exist already are recorded from here on. Again is no harm.

    Args:
        libraries: Only these: `openai`, `anthropic`, `groq`.

    Raises:
        OptionError: a library that is not known.
    """
    names = list(LIBRARIES) if libraries is None else list(libraries)
    unknown = [name for name in names if name not in LIBRARIES]
    if unknown:
        raise OptionError("libraries", f"{unknown[0]!r} is none of {', '.join(LIBRARIES)}")
    installed = [name for name in names if importlib.util.find_spec(name) is not None]
    with _changing:
        for name in installed:
            _cover(LIBRARIES[name])
    return installed


def uninstrument() -> None:
    """Put back what `instrument` covered; wrapped clients stay wrapped."""
    with _changing:
        while _originals:
            owner, original = _originals.pop()
            owner.request = original  # type: ignore[attr-defined]


def wrap(client: Client) -> Client:
    """Record every call of one client of openai, anthropic or groq, and return it.

    So do the clients that its `with_options` makes. Where `instrument` is in force as well, calls
    are recorded once.

    Raises:
        OptionError: it is none of these.
    """
    for library in LIBRARIES.values():
        kind = _kind_of(client, library)
        if kind is not None:
            _wrap(client, library, kind)
            return client
    raise OptionError("client", f"{type(client).__name__} is no client that llmscope knows")


def _cover(library: Library) -> None:
    module = importlib.import_module(library.module)
    for name, cover in ((SYNC_CLASS, covered), (ASYNC_CLASS, covered_async)):
        owner = getattr(module, name)
        if all(owner is not known for known, _ in _originals):
            _originals.append((owner, owner.request))
            owner.request = cover(library, owner.request)


def _original(owner: type) -> Callable[..., Any]:
    """`request` of a class as its library wrote it."""
    for known, original in _originals:
        if known is owner:
            return original
    found: Callable[..., Any] = owner.request  # type: ignore[attr-defined]
    return found


def _kind_of(client: Any, library: Library) -> str | None:
    """Which of the library's two classes the client is of. Imports nothing."""
    for owner in type(client).__mro__:
        if owner.__module__ == library.module and owner.__name__ in (SYNC_CLASS, ASYNC_CLASS):
            return owner.__name__
    return None


def _wrap(client: Any, library: Library, kind: str) -> None:
    owner = getattr(importlib.import_module(library.module), kind)
    cover = covered if kind == SYNC_CLASS else covered_async
    client.request = types.MethodType(cover(library, _original(owner)), client)
    for name in _COPIERS:
        setattr(client, name, _wrapping(getattr(client, name)))


def _wrapping(make: Callable[..., Any]) -> Callable[..., Any]:
    def made(*args: Any, **kwargs: Any) -> Any:
        return wrap(make(*args, **kwargs))

    return made
