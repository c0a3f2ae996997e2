"""Covers and uncovers the client libraries that are installed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Callable, TypeVar

from llmscope._errors import OptionError
from llmscope._instrumentation.ai21 import AI21
from llmscope._instrumentation.bedrock import BOTO3
from llmscope._instrumentation.cohere import COHERE
from llmscope._instrumentation.covering import Coverage, is_installed
from llmscope._instrumentation.google import GOOGLE
from llmscope._instrumentation.huggingface import HUGGING_FACE
from llmscope._instrumentation.library import Library
from llmscope._instrumentation.litellm import LITELLM
from llmscope._instrumentation.mistral import MISTRAL
from llmscope._instrumentation.stainless import ANTHROPIC, GROQ, OPENAI

Client = TypeVar("Client")
# By the names that the libraries are installed by.
LIBRARIES = {
    "openai": OPENAI,
    "anthropic": ANTHROPIC,
    "google-genai": GOOGLE,
    "mistralai": MISTRAL,
    "cohere": COHERE,
    "huggingface_hub": HUGGING_FACE,
    "boto3": BOTO3,
    "groq": GROQ,
    "ai21": AI21,
    "litellm": LITELLM,
}
_coverage = Coverage()
_changing = threading.Lock()


def instrument(libraries: Sequence[str] | None = None) -> list[str]:
    """Record every call of the client libraries that are installed; their names.

    Clients that exist already are recorded from here on, and libraries that are not imported yet
    once they are. Again is no harm.

    Args:
        libraries: Only these, by the names in README.md: `openai`, `anthropic` ...

    Raises:
        OptionError: a library that is not known.
    """
    names = list(LIBRARIES) if libraries is None else list(libraries)
    unknown = [name for name in names if name not in LIBRARIES]
    if unknown:
        raise OptionError("libraries", f"{unknown[0]!r} is none of {', '.join(LIBRARIES)}")
    installed = [name for name in names if is_installed(LIBRARIES[name].package)]
    with _changing:
        for name in installed:
            _coverage.add(LIBRARIES[name].places)
    return installed


def uninstrument() -> None:
    """Put back what `instrument` covered; wrapped clients stay wrapped."""
    with _changing:
        _coverage.remove()


def wrap(client: Client) -> Client:
    """Record every call of one client of a library that `instrument` knows, and return it.

    So do the clients that its `with_options` makes. Where `instrument` is in force as well, calls
    are recorded once.

    Raises:
        OptionError: it is no such client.
    """
    for library in LIBRARIES.values():
        methods = library.methods_of(client)
        for found, part in methods:
            found.cover_object(part)
        if methods:
            _wrap_copies(library, client)
            return client
    raise OptionError("client", f"{type(client).__name__} is no client that llmscope knows")


def _wrap_copies(library: Library, client: Any) -> None:
    for name in library.copiers:
        setattr(client, name, _wrapping(getattr(client, name)))


def _wrapping(make: Callable[..., Any]) -> Callable[..., Any]:
    def made(*args: Any, **kwargs: Any) -> Any:
        return wrap(make(*args, **kwargs))

    return made
