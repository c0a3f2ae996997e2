"""Covers a method that makes a call of a model: plain, asynchronous, or handing out chunks."""

from __future__ import annotations

import functools
from typing import Any, Callable, NamedTuple, Optional

from llmscope._instrumentation.covering import Cover
from llmscope._instrumentation.guard import guarded
from llmscope._instrumentation.observation import Observation


class Begun(NamedTuple):
    """A call that is about to be made.

    Attributes:
        take: Sees what the method returned, and gives what the caller gets.
    """

    observation: Observation
    take: Callable[[Any], Any]

    def fail(self, error: BaseException) -> None:
        """The method raised."""
        with guarded():
            self.observation.end(error)

    def succeed(self, result: Any) -> Any:
        """The method returned; what its caller gets."""
        with guarded():
            return self.take(result)
        return result


# The object and the arguments of the method; None where nothing is to be recorded.
Begin = Callable[[Any, "tuple[Any, ...]", "dict[str, Any]"], Optional[Begun]]


def covered(begin: Begin) -> Cover:
    """Record a method."""

    def cover(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def method(owner: Any, *args: Any, **kwargs: Any) -> Any:
            begun = begun_by(begin, owner, args, kwargs)
            if begun is None:
                return original(owner, *args, **kwargs)
            try:
                result = original(owner, *args, **kwargs)
            except BaseException as error:
                begun.fail(error)
                raise
            return begun.succeed(result)

        return method

    return cover


def covered_async(begin: Begin) -> Cover:
    """`covered` for a coroutine function."""

    def cover(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        async def method(owner: Any, *args: Any, **kwargs: Any) -> Any:
            begun = begun_by(begin, owner, args, kwargs)
            if begun is None:
                return await original(owner, *args, **kwargs)
            try:
                result = await original(owner, *args, **kwargs)
            except BaseException as error:
                begun.fail(error)
                raise
            return begun.succeed(result)

        return method

    return cover


def covered_generator(begin: Begin) -> Cover:
    """`covered` for a generator function: the call begins when somebody asks for a chunk."""

    def cover(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def method(owner: Any, *args: Any, **kwargs: Any) -> Any:
            begun = begun_by(begin, owner, args, kwargs)
            chunks = original(owner, *args, **kwargs)
            yield from chunks if begun is None else begun.succeed(chunks)

        return method

    return cover


def begun_by(begin: Begin, owner: Any, args: Any, kwargs: Any) -> Begun | None:
    """What `begin` makes of a call; None where it fails, too."""
    with guarded():
        return begin(owner, args, kwargs)
    return None
