"""What is shown of an answer on its way to the caller: its bytes, or its chunks."""

from __future__ import annotations

import json
from typing import Any

from llmscope import _state
from llmscope._instrumentation.observation import Observation, parsed
from llmscope._instrumentation.watching import watch
from llmscope._providers.events import ServerEvent, cutter_of
from llmscope._providers.reading import Json

FIRST_FAILURE = 400


class StreamObserver:
    """Sees the bytes of a streamed answer and hands on those that the caller is to see.

    Args:
        content_type: Of the answer: it tells how events are cut out of the bytes.
        hides_usage: Whether usage was asked for on our own account: the chunk that carries
            nothing else is kept back, and the `null` that announces it is cut out.
    """

    def __init__(
        self, observation: Observation, content_type: str, hides_usage: bool = False
    ) -> None:
        self.observation = observation
        self._hides_usage = hides_usage
        self._reader = observation.api.stream()
        self._cutter = cutter_of(content_type)
        self._is_broken = False

    def feed(self, chunk: bytes) -> bytes:
        """What of the stream the caller gets now. Never raises."""
        if self._is_broken:
            return chunk
        self.observation.first_chunk()
        before = self._cutter.rest
        try:
            events = list(self._cutter.feed(chunk))
            hidden = [self._is_hidden(self._read(event)) for event in events]
        except Exception as error:
            self._is_broken = True
            client = _state.current()
            if client is not None:
                client.losses.fail(error)
            return before + chunk if self._hides_usage else chunk
        if not self._hides_usage:
            return chunk
        shown = (event.raw for event, is_hidden in zip(events, hidden) if not is_hidden)
        return b"".join(map(_without_null_usage, shown))

    def rest(self) -> bytes:
        """What is left for the caller when the stream has ended without an empty line."""
        return self._cutter.rest if self._hides_usage and not self._is_broken else b""

    def end(self, error: BaseException | None = None) -> None:
        """The stream has ended, was closed, or broke."""
        self.observation.answer(self._reader.response or None, self._reader.is_final)
        self.observation.end(error)

    def _read(self, event: ServerEvent) -> Json:
        if not event.data.startswith(b"{"):
            return {}
        data: Json = json.loads(event.data)
        self._reader.add(event.name, data)
        return data

    def _is_hidden(self, data: Json) -> bool:
        """A chunk without choices that carries nothing but the usage."""
        is_plain = not data.get("prompt_filter_results") and not data.get("error")
        return bool(self._hides_usage and data.get("usage") and not data.get("choices", True)) and (
            is_plain
        )


def _without_null_usage(raw: bytes) -> bytes:
    """Inside of a JSON text the quotes would be escaped, so nothing but the member matches."""
    if b'"usage":null' not in raw:
        return raw
    return raw.replace(b',"usage":null', b"", 1).replace(b'"usage":null,', b"", 1)


class BodyObserver:
    """Sees the bytes of an answer that the caller reads by itself, and changes none."""

    # An answer with more is a file, not a completion.
    MAX_BYTES = 8 * 2**20

    def __init__(self, observation: Observation) -> None:
        self.observation = observation
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> bytes:
        """All of `chunk`."""
        self._size += len(chunk)
        if self._size <= self.MAX_BYTES:
            self._parts.append(chunk)
        return chunk

    def rest(self) -> bytes:
        """Nothing was kept back."""
        return b""

    def end(self, error: BaseException | None = None) -> None:
        """The answer was read, or given up."""
        body = b"".join(self._parts)
        self.observation.answer_from(lambda: parsed(body))
        self.observation.end(error)


class RefusalObserver(BodyObserver):
    """`BodyObserver` of an answer whose status is a failure."""

    def __init__(self, observation: Observation, status: int) -> None:
        super().__init__(observation)
        self._status = status

    def end(self, error: BaseException | None = None) -> None:
        """The answer was read, or given up."""
        self.observation.refuse(self._status, b"".join(self._parts))
        self.observation.end(error)


class ChunkObserver:
    """Sees a streamed answer that its library has cut into events."""

    def __init__(self, observation: Observation) -> None:
        self.observation = observation
        self._reader = observation.api.stream()

    def add(self, name: str, data: Json) -> None:
        """One event, in order."""
        self.observation.first_chunk()
        self._reader.add(name, data)

    def end(self, error: BaseException | None = None) -> None:
        """The stream has ended, was closed, or broke."""
        self.observation.answer(self._reader.response or None, self._reader.is_final)
        self.observation.end(error)


def watch_response(observation: Observation, response: Any, is_stream: bool) -> None:
    """Take over a response of httpx that its library is about to read."""
    status = response.status_code
    observation.status(status)
    if status >= FIRST_FAILURE:
        _watch_refusal(observation, response, status)
    elif is_stream:
        watch(response, StreamObserver(observation, content_type_of(response)))
    elif response.is_closed:
        body = response.content
        observation.answer_from(lambda: parsed(body))
        observation.end()
    else:
        watch(response, BodyObserver(observation))


def _watch_refusal(observation: Observation, response: Any, status: int) -> None:
    if response.is_closed:
        observation.refuse(status, response.content)
        observation.end()
    else:
        watch(response, RefusalObserver(observation, status))


def content_type_of(response: Any) -> str:
    """The content type of a response of httpx."""
    return str(response.headers.get("content-type", ""))
