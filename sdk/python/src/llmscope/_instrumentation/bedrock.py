"""boto3: every call of a client passes `_make_api_call`. Recorded is `bedrock-runtime`."""

from __future__ import annotations

import copy
import json
import weakref
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from llmscope import _state
from llmscope._instrumentation.calls import Begun, covered
from llmscope._instrumentation.covering import Methods
from llmscope._instrumentation.library import Library
from llmscope._instrumentation.observation import Observation, parsed
from llmscope._instrumentation.streams import ChunkObserver
from llmscope._instrumentation.watching import Items
from llmscope._providers.bedrock import HEADERS, METRICS
from llmscope._providers.catalog import BEDROCK_APIS
from llmscope._providers.events import frame_event
from llmscope._providers.reading import Json

_SERVICE = "bedrock-runtime"
_PATHS = {
    "Converse": "/converse",
    "ConverseStream": "/converse-stream",
    "InvokeModel": "/invoke",
    "InvokeModelWithResponseStream": "/invoke-with-response-stream",
}
# What of an answer of Converse its event is made of.
_ANSWER_FIELDS = ("usage", "stopReason", "serviceTier")
_CONTENT_FIELDS = (*_ANSWER_FIELDS, "output")


def _begin(client: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> Begun | None:
    operation, params = args[:2]
    if operation not in _PATHS or client.meta.service_model.service_name != _SERVICE:
        return None
    if _state.current() is None:
        return None
    path = _PATHS[operation]
    body = parsed(params["body"]) if isinstance(params.get("body"), (bytes, str)) else params
    model = unquote(str(params.get("modelId") or ""))
    is_stream = path.endswith("-stream")
    observation = Observation(BEDROCK_APIS[path], "aws.bedrock", body, is_stream, model)
    return Begun(observation, lambda result: _take(observation, result))


def _take(observation: Observation, result: Json) -> Any:
    about = result.get("ResponseMetadata") or {}
    observation.status(about.get("HTTPStatusCode", 200))
    stream = result.get("stream") or result.get("body")
    if hasattr(stream, "_event_generator"):
        _Frames(observation, stream)
    elif stream is None:
        names = _CONTENT_FIELDS if observation.has_content else _ANSWER_FIELDS
        observation.answer({name: copy.deepcopy(result[name]) for name in names if name in result})
        observation.end()
    else:
        _Body(observation, stream, about.get("HTTPHeaders") or {})
    return result


class _Frames(ChunkObserver):
    """Sees the frames of an event stream, before botocore makes its events of them."""

    def __init__(self, observation: Observation, stream: Any) -> None:
        super().__init__(observation)
        frames = Items(stream._event_generator, self)
        stream._event_generator = frames
        close = stream.close

        def close_all() -> None:
            close()
            frames.close()

        stream.close = close_all

    def see(self, frame: Any) -> None:
        """One frame."""
        event = frame_event(frame.headers, frame.payload)
        if event.data.startswith(b"{"):
            self.add(event.name, json.loads(event.data))
        if event.name == "error":
            # botocore raises what it makes of this frame, and asks for no other.
            self.end()


class _Body:
    """Sees what is read of the body of an answer, which the application reads by itself."""

    # A longer answer is an image or a file, not a completion.
    MAX_BYTES = 8 * 2**20

    def __init__(self, observation: Observation, body: Any, headers: dict[str, str]) -> None:
        self._observation = observation
        self._headers = headers
        self._parts: list[bytes] = []
        self._size = 0
        # The stream below is what all ways of reading meet in, and what a `with` hands out.
        source = body._raw_stream
        self._read, source.read = source.read, self._reading
        # Nobody need read it to its end, or close it.
        self._finalizer = weakref.finalize(body, self._end)
        self._finalizer.atexit = False  # type: ignore[misc] # typeshed's slots lack it

    def _reading(self, amt: int | None = None, *args: Any, **kwargs: Any) -> bytes:
        chunk: bytes = self._read(amt, *args, **kwargs)
        if self._size <= self.MAX_BYTES:
            self._parts.append(chunk)
        self._size += len(chunk)
        if amt is None or not chunk:
            self._finish()
        return chunk

    def _finish(self) -> None:
        if self._finalizer.detach() is not None:
            self._end()

    def _end(self) -> None:
        body, headers = b"".join(self._parts), self._headers
        self._observation.answer_from(lambda: _answer(body, headers))
        self._observation.end()


def _answer(body: bytes, headers: dict[str, str]) -> Json | None:
    answer = parsed(body) or {}
    metrics = dict(_metrics(headers))
    if metrics:
        answer.setdefault(METRICS, metrics)
    return answer or None


def _metrics(headers: dict[str, str]) -> Iterator[tuple[str, int]]:
    for header, name in HEADERS.items():
        count = headers.get(header, "")
        if count.isdigit():
            yield name, int(count)


def _parts(client: Any) -> Iterable[Any]:
    return (client,) if client.meta.service_model.service_name == _SERVICE else ()


BOTO3 = Library(
    package="botocore",
    places=(Methods("botocore.client", "BaseClient", {"_make_api_call": covered(_begin)}),),
    apis=BEDROCK_APIS,
    parts=_parts,
)
