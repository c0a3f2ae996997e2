"""One call of a model by a client library, from its request to the end of its answer."""

from __future__ import annotations

import json
from typing import Any

from llmscope import _state
from llmscope._calls import Call
from llmscope._providers.apis import Api, answer_fields
from llmscope._providers.events import EventCutter, ServerEvent
from llmscope._providers.reading import Json, text_at


class Observation:
    """Collects the event of a call; whoever sees its end calls `end`, more often does no harm."""

    def __init__(self, api: Api, provider_name: str, request: Any, is_stream: bool) -> None:
        self.api = api
        self._has_content = _captures_content()
        body: Json = request if isinstance(request, dict) else {}
        self._call = Call(
            provider_name=provider_name,
            operation_name=api.operation_name,
            request_model=text_at(body, "model"),
            is_stream=is_stream,
        )
        if self._has_content:
            self._call.set(input_messages=api.input_messages(body))

    def answer(self, response: Json | None, is_final: bool = True) -> None:
        """Take over what the provider answered."""
        if self._has_content:
            self._call.set(**answer_fields(self.api, response, is_final, has_content=True))
        else:
            # Reading it takes longer than making the rest of the event: the sender has time.
            self._call.later(lambda: answer_fields(self.api, response, is_final, False))

    def status(self, code: int) -> None:
        """The HTTP status of the answer."""
        self._call.set(http_status_code=code)

    def first_chunk(self) -> None:
        """The first bytes of a stream are here."""
        self._call.note_first_chunk()

    def end(self, error: BaseException | None = None) -> None:
        """Record the call."""
        self._call.values.setdefault("usage_source", "missing")
        self._call.end(error)

    @property
    def has_content(self) -> bool:
        """Whether messages are recorded."""
        return self._has_content


def _captures_content() -> bool:
    client = _state.current()
    return client is not None and client.options.capture_content


class StreamObserver:
    """Sees the bytes of a streamed answer and hands on those that the caller is to see.

    Args:
        hides_usage: Whether usage was asked for on our own account: the chunk that carries
            nothing else is kept back, and the `null` that announces it is cut out.
    """

    def __init__(self, observation: Observation, hides_usage: bool) -> None:
        self.observation = observation
        self._hides_usage = hides_usage
        self._reader = observation.api.stream()
        self._cutter = EventCutter()
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
        self.observation.answer(parsed(b"".join(self._parts)))
        self.observation.end(error)


def parsed(body: bytes) -> Json | None:
    """A JSON object, or None where it is none."""
    try:
        document = json.loads(body)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
