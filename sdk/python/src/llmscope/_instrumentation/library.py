"""What the SDK needs to know of a client library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable, NamedTuple

from llmscope._instrumentation.covering import Methods, Place
from llmscope._providers.apis import Api


def _alone(client: Any) -> Iterable[Any]:
    return (client,)


class Library(NamedTuple):
    """A client library.

    Attributes:
        package: What its presence is told by.
        places: Where its calls pass.
        apis: Its calls of a model, by the ending of their path.
        parts: The objects of one client whose methods its calls pass through.
        copiers: Methods of a client that make another client.
    """

    package: str
    places: Sequence[Place]
    apis: Mapping[str, Api]
    parts: Callable[[Any], Iterable[Any]] = _alone
    copiers: Sequence[str] = ()

    def methods_of(self, client: Any) -> list[tuple[Methods, Any]]:
        """Methods that one client's calls pass through, and the objects that have them."""
        if type(client).__module__.split(".")[0] != self.package.split(".")[0]:
            return []
        methods = [place for place in self.places if isinstance(place, Methods)]
        return [(m, part) for part in self.parts(client) for m in methods if m.owns(part)]
