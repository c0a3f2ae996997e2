"""Watches the bytes of an HTTP response, or the items of an iterator, on their way to the reader.

The response stays the object it is, and so do the streams around it: only its four methods that
hand out or end the bytes are covered for this one instance. That works for every way of reading
(iteration, helpers, raw responses) of every version of httpx.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

from llmscope._instrumentation.guard import guarded

COVERED = ("iter_bytes", "aiter_bytes", "close", "aclose")


class Ended(Protocol):
    """Who is told of an end."""

    def end(self, error: BaseException | None = None) -> None:
        """No more comes."""


class Observer(Ended, Protocol):
    """Who is shown the bytes."""

    def feed(self, chunk: bytes) -> bytes:
        """What the caller gets of a chunk."""

    def rest(self) -> bytes:
        """What the caller gets when no more bytes come."""


def watch(response: Any, observer: Observer) -> None:
    """Show `observer` the bytes of an unread response, and its end, however it comes."""
    _Watch(response, observer)


class _Watch:
    def __init__(self, response: Any, observer: Observer) -> None:
        self._response = response
        self._observer = observer
        self._originals = {name: getattr(response, name) for name in COVERED}
        # httpx closes a response that breaks before it says why.
        self._is_reading = False
        # A response that is dropped unread was abandoned, and nothing else says so.
        self._finalizer = weakref.finalize(response, _end, observer, None)
        self._finalizer.atexit = False  # type: ignore[misc] # typeshed's slots lack it
        for name in COVERED:
            setattr(response, name, getattr(self, name))

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        try:
            self._is_reading = True
            for chunk in self._originals["iter_bytes"](chunk_size):
                self._is_reading = False
                shown = self._observer.feed(chunk)
                if shown:
                    yield shown
                self._is_reading = True
            rest = self._observer.rest()
            if rest:
                yield rest
        except BaseException as error:
            self._end_with(error)
            raise
        self._end()

    async def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        try:
            self._is_reading = True
            async for chunk in self._originals["aiter_bytes"](chunk_size):
                self._is_reading = False
                shown = self._observer.feed(chunk)
                if shown:
                    yield shown
                self._is_reading = True
            rest = self._observer.rest()
            if rest:
                yield rest
        except BaseException as error:
            self._end_with(error)
            raise
        self._end()

    def close(self) -> None:
        self._originals["close"]()
        if not self._is_reading:
            self._end()

    async def aclose(self) -> None:
        await self._originals["aclose"]()
        if not self._is_reading:
            self._end()

    def _end_with(self, error: BaseException) -> None:
        """A reader who leaves is no failure."""
        self._end(None if isinstance(error, GeneratorExit) else error)

    def _end(self, error: BaseException | None = None) -> None:
        if self._finalizer.detach() is not None:
            for name in COVERED:
                self._response.__dict__.pop(name, None)
            _end(self._observer, error)


def _end(observer: Ended, error: BaseException | None) -> None:
    with guarded():
        observer.end(error)


class ItemObserver(Ended, Protocol):
    """Who is shown the items of an iterator."""

    def see(self, item: Any) -> None:
        """One item, in order."""


class Items:
    """An iterator whose items somebody else sees as well, to its end, however it comes."""

    def __init__(self, items: Iterator[Any], observer: ItemObserver) -> None:
        self._items = items
        self._observer = observer
        self._finalizer = weakref.finalize(self, _end, observer, None)
        self._finalizer.atexit = False  # type: ignore[misc] # typeshed's slots lack it

    def __iter__(self) -> Items:
        return self

    def __next__(self) -> Any:
        try:
            item = next(self._items)
        except StopIteration:
            self._end()
            raise
        except BaseException as error:
            self._end(error)
            raise
        _see(self._observer, item)
        return item

    def close(self) -> None:
        """End an iterator that can be closed."""
        close = getattr(self._items, "close", None)
        if close is not None:
            close()
        self._end()

    def _end(self, error: BaseException | None = None) -> None:
        if self._finalizer.detach() is not None:
            _end(self._observer, error)


class AsyncItems:
    """`Items` of an asynchronous iterator."""

    def __init__(self, items: AsyncIterator[Any], observer: ItemObserver) -> None:
        self._items = items
        self._observer = observer
        self._finalizer = weakref.finalize(self, _end, observer, None)
        self._finalizer.atexit = False  # type: ignore[misc] # typeshed's slots lack it

    def __aiter__(self) -> AsyncItems:
        return self

    async def __anext__(self) -> Any:
        try:
            item = await self._items.__anext__()
        except StopAsyncIteration:
            self._end()
            raise
        except BaseException as error:
            self._end(error)
            raise
        _see(self._observer, item)
        return item

    async def aclose(self) -> None:
        """End an iterator that can be closed."""
        close = getattr(self._items, "aclose", None)
        if close is not None:
            await close()
        self._end()

    def _end(self, error: BaseException | None = None) -> None:
        if self._finalizer.detach() is not None:
            _end(self._observer, error)


def _see(observer: ItemObserver, item: Any) -> None:
    with guarded():
        observer.see(item)
