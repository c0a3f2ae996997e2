"""Results of batches are recorded when the application reads them, line by line."""

from __future__ import annotations

import re
from collections import OrderedDict
from datetime import datetime
from typing import Any

from llmscope import _state
from llmscope._instrumentation.guard import guarded
from llmscope._instrumentation.watching import AsyncItems, Items, watch
from llmscope._providers.batches import batch_fields
from llmscope._providers.events import LineCutter

_RESULTS = re.compile(
    r"/files/(?P<file>[^/?]+)/content|/messages/batches/(?P<batch>[^/?]+)/results"
)
_BATCH = re.compile(r"/messages/batches/(?P<batch>[^/?]+)(\?.*)?$")
# Batches whose time is kept until their results are read; a program has few.
_MAX_BATCHES = 1_000
# After so many results the sender gets time, so that the queue never overflows.
_FLUSH_EVERY, _FLUSH_SECONDS = 1_000, 0.5
_created: OrderedDict[str, str] = OrderedDict()


class BatchReading:
    """A request for a batch, or for its results; other requests are none of our business."""

    def __init__(self, options: Any, provider_name: str) -> None:
        self.options = options
        self._provider_name = provider_name
        self._url = str(options.url)

    def fail(self, error: BaseException) -> None:
        """Nothing was read, so nothing is recorded."""

    def succeed(self, result: Any) -> None:
        """Take over what the caller is about to read."""
        with guarded():
            found = _RESULTS.search(self._url)
            if found is None:
                _note(result)
            else:
                _watch(result, _Lines(found["file"] or found["batch"], self._provider_name))


def reading_of(options: Any, provider_name: str) -> BatchReading | None:
    """None where a request asks for neither."""
    url = str(options.url)
    is_batch = str(options.method) == "get" and (_RESULTS.search(url) or _BATCH.search(url))
    return BatchReading(options, provider_name) if is_batch else None


def _note(batch: Any) -> None:
    created_at, batch_id = getattr(batch, "created_at", None), getattr(batch, "id", None)
    if isinstance(created_at, datetime) and batch_id:
        _created[batch_id] = created_at.isoformat()
        while len(_created) > _MAX_BATCHES:
            _created.popitem(last=False)


def _watch(result: Any, lines: _Lines) -> None:
    members = getattr(result, "__dict__", {})
    raw = members.get("_raw_iterator")
    if raw is not None:
        items = AsyncItems if hasattr(raw, "__anext__") else Items
        result._raw_iterator = items(raw, lines)
        return
    response = members.get("http_response") or members.get("response")
    if response is None:
        return
    if response.is_closed:
        lines.see(response.content)
        lines.end()
    else:
        watch(response, lines)


class _Lines:
    def __init__(self, batch: str, provider_name: str) -> None:
        self._batch = batch
        self._provider_name = provider_name
        self._cutter = LineCutter()
        self._count = 0

    def see(self, chunk: bytes) -> None:
        """Some bytes of the results."""
        for event in self._cutter.feed(chunk):
            self._record(event.data)

    def feed(self, chunk: bytes) -> bytes:
        """All of `chunk`."""
        with guarded():
            self.see(chunk)
        return chunk

    def rest(self) -> bytes:
        """Nothing was kept back."""
        return b""

    def end(self, error: BaseException | None = None) -> None:
        """The last line may have no end."""
        if error is None and self._cutter.rest:
            self.see(b"\n")

    def _record(self, line: bytes) -> None:
        client = _state.current()
        fields = batch_fields(line, self._batch, _created.get(self._batch))
        if client is None or fields is None:
            return
        client.record({"provider_name": self._provider_name, **fields})
        self._count += 1
        if self._count % _FLUSH_EVERY == 0:
            client.flush(_FLUSH_SECONDS)
