"""Calls through every further client library are recorded, and their callers see no difference."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

import llmscope
from llmscope._instrumentation.covering import is_installed
from tests.conftest import recorded
from tests.door import Door
from tests.providers import SAID, USAGE, AsyncParts, Parts

CHAT = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "m-1",
    "choices": [{"index": 0, "finish_reason": "stop",
                 "message": {"role": "assistant", "content": "Hi"}}],
    "usage": USAGE,
}  # fmt: skip
CHUNKS = [
    {**CHAT, "object": "chat.completion.chunk", "usage": None,
     "choices": [{"index": 0, "finish_reason": None,
                  "delta": {"role": "assistant", "content": "H"}}]},
    {**CHAT, "object": "chat.completion.chunk",
     "choices": [{"index": 0, "finish_reason": "stop", "delta": {"content": "i"}}]},
]  # fmt: skip
GEMINI = {
    "responseId": "r1", "modelVersion": "m-1",
    "candidates": [{"index": 0, "finishReason": "STOP",
                    "content": {"role": "model", "parts": [{"text": "Hi"}]}}],
    "usageMetadata": {"promptTokenCount": 12, "candidatesTokenCount": 3, "thoughtsTokenCount": 2,
                      "cachedContentTokenCount": 4},
}  # fmt: skip
GEMINI_CHUNKS = [
    {**GEMINI, "usageMetadata": {"promptTokenCount": 12}, "candidates": [
        {"index": 0, "content": {"role": "model", "parts": [{"text": "H"}]}}]},
    GEMINI,
]  # fmt: skip
COHERE_USAGE = {"billed_units": {"input_tokens": 12, "output_tokens": 5}, "cached_tokens": 4}
COHERE = {
    "id": "c1", "finish_reason": "COMPLETE", "usage": COHERE_USAGE,
    "message": {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]},
}  # fmt: skip
COHERE_CHUNKS = [
    {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}},
    {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": COHERE_USAGE}},
]
COUNTED = {"input_tokens": 12, "output_tokens": 5, "cache_read_input_tokens": 4}


class Server:
    """Answers as one provider does; a model called `unknown` does not exist."""

    def __init__(self, http: Any, answer: Any, chunks: list[Any], parts: type) -> None:
        self._http, self._answer, self._chunks, self._parts = http, answer, chunks, parts

    def __call__(self, request: Any) -> Any:
        if b"unknown" in request.content or "unknown" in str(request.url):
            return self._http.Response(404, json={"message": "No such model."})
        is_stream = b'"stream":true' in request.content.replace(b" ", b"")
        if not is_stream and "streamGenerateContent" not in str(request.url):
            return self._http.Response(200, json=self._answer)
        texts = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in self._chunks]
        headers = {"content-type": "text/event-stream"}
        body = self._parts(b"".join(texts), None)
        return self._http.Response(200, headers=headers, content=body)


class Library(NamedTuple):
    """How a library is asked.

    Attributes:
        http: The HTTP library below it.
        make: A client, from one of `http`, plain or asynchronous.
        whole: Asks for a whole answer from a model; so does `stream` for a stream.
    """

    package: str
    http: str
    provider_name: str
    answer: Any
    chunks: list[Any]
    make: Callable[[Any, bool], Any]
    whole: Callable[[Any, str], Any]
    stream: Callable[[Any, str], Any]


def _google(http: Any, is_async: bool) -> Any:
    from google import genai

    name = "httpx_async_client" if is_async else "httpx_client"
    return genai.Client(api_key="k", http_options=genai.types.HttpOptions(**{name: http}))


def _google_models(client: Any) -> Any:
    return client.aio.models if client._api_client._http_options.httpx_async_client else (
        client.models
    )  # fmt: skip


def _mistral(http: Any, is_async: bool) -> Any:
    from mistralai.client import Mistral

    return Mistral(api_key="k", **{"async_client" if is_async else "client": http})


def _mistral_ask(client: Any, name: str) -> Any:
    is_async = client.sdk_configuration.async_client_supplied
    return getattr(client.chat, f"{name}_async" if is_async else name)


def _cohere(http: Any, is_async: bool) -> Any:
    import cohere

    kind = cohere.AsyncClientV2 if is_async else cohere.ClientV2
    return kind(api_key="k", httpx_client=http)


def _hugging_face(http: Any, is_async: bool) -> Any:
    import huggingface_hub

    if is_async:
        huggingface_hub.set_async_client_factory(lambda: http)
    else:
        huggingface_hub.set_client_factory(lambda: http)
    kind = huggingface_hub.AsyncInferenceClient if is_async else huggingface_hub.InferenceClient
    return kind(base_url="https://router.huggingface.co/together/v1", token="t")


def _ai21(http: Any, is_async: bool) -> Any:
    import ai21

    kind = ai21.AsyncAI21Client if is_async else ai21.AI21Client
    return kind(api_key="k", http_client=http)


def _ai21_ask(client: Any, model: str, **options: Any) -> Any:
    from ai21.models.chat import ChatMessage

    said = [ChatMessage(role="user", content="Hi")]
    return client.chat.completions.create(model=model, messages=said, **options)


LIBRARIES = {
    "google": Library(
        "google.genai", "httpx", "gcp.gemini", GEMINI, GEMINI_CHUNKS, _google,
        lambda client, model: _google_models(client).generate_content(model=model, contents="Hi"),
        lambda client, model: _google_models(client).generate_content_stream(
            model=model, contents="Hi"
        ),
    ),
    "mistral": Library(
        "mistralai", "httpx2", "mistral_ai", CHAT, CHUNKS, _mistral,
        lambda client, model: _mistral_ask(client, "complete")(model=model, messages=SAID),
        lambda client, model: _mistral_ask(client, "stream")(model=model, messages=SAID),
    ),
    "cohere": Library(
        "cohere", "httpx", "cohere", COHERE, COHERE_CHUNKS, _cohere,
        lambda client, model: client.chat(model=model, messages=SAID),
        lambda client, model: client.chat_stream(model=model, messages=SAID),
    ),
    "hugging face": Library(
        "huggingface_hub", "httpx2", "hugging_face", CHAT, CHUNKS, _hugging_face,
        lambda client, model: client.chat_completion(model=model, messages=SAID),
        lambda client, model: client.chat_completion(model=model, messages=SAID, stream=True),
    ),
    "ai21": Library(
        "ai21", "httpx", "ai21", CHAT, CHUNKS, _ai21,
        _ai21_ask,
        lambda client, model: _ai21_ask(client, model, stream=True),
    ),
}  # fmt: skip


@pytest.fixture(params=LIBRARIES)
def library(request: Any, monkeypatch: pytest.MonkeyPatch) -> Library:
    found = LIBRARIES[request.param]
    if not is_installed(found.package):
        pytest.skip(f"{found.package} is not installed here")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    return found


def client_of(library: Library) -> Any:
    http = importlib.import_module(library.http)
    server = Server(http, library.answer, library.chunks, Parts)
    return library.make(http.Client(transport=http.MockTransport(server)), False)


def async_client_of(library: Library) -> Any:
    http = importlib.import_module(library.http)
    server = Server(http, library.answer, library.chunks, AsyncParts)
    return library.make(http.AsyncClient(transport=http.MockTransport(server)), True)


def counts(event: dict[str, Any]) -> dict[str, int]:
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens")
    return {name: event[name] for name in names if name in event}


def failure_of(ask: Callable[[], Any]) -> tuple[type, str]:
    try:
        ask()
    except Exception as error:
        return type(error), str(error)
    raise AssertionError("it succeeded")


def test_answers_streams_and_failures_are_recorded_and_look_the_same(
    library: Library, recording: Door
) -> None:
    client = client_of(library)

    def every_way() -> Any:
        failure = failure_of(lambda: library.whole(client, "unknown"))
        stream = library.stream(client, "m")
        return [library.whole(client, "m"), type(stream), list(stream), failure]

    plain = every_way()
    llmscope.instrument()
    assert every_way() == plain
    failed, whole, streamed = sorted(
        recorded(recording), key=lambda e: (e["request_model"] == "m", e["is_stream"])
    )
    assert counts(whole) == counts(streamed) == COUNTED
    assert (whole["is_stream"], streamed["is_stream"]) == (False, True)
    assert whole["provider_name"] == streamed["provider_name"] == library.provider_name
    assert whole["request_model"] == streamed["request_model"] == "m"
    assert whole["usage_source"] == streamed["usage_source"] == "provider"
    assert "time_to_first_chunk_seconds" in streamed
    assert (failed["error_type"], failed["http_status_code"]) == ("404", 404)
    assert failed["error_message"] in (plain[3][1], "No such model.")
    assert "input_messages" not in whole


async def test_asynchronous_answers_and_streams_are_recorded_and_look_the_same(
    library: Library, recording: Door
) -> None:
    client = async_client_of(library)

    async def both() -> Any:
        asked = library.stream(client, "m")
        stream = await asked if asyncio.iscoroutine(asked) else asked
        return [await library.whole(client, "m"), [chunk async for chunk in stream]]

    plain = await both()
    llmscope.instrument()
    assert await both() == plain
    events = await asyncio.to_thread(recorded, recording)
    assert [counts(event) for event in events] == [COUNTED, COUNTED]
    assert sorted(event["is_stream"] for event in events) == [False, True]


def test_a_stream_that_its_caller_leaves_is_recorded(library: Library, recording: Door) -> None:
    llmscope.instrument()
    client = client_of(library)
    stream = iter(library.stream(client, "m"))
    next(stream)
    del stream
    gc.collect()
    (event,) = recorded(recording)
    assert event["usage_source"] in ("missing", "estimated")
    assert "error_type" not in event


def test_wrap_records_one_client_and_uninstrument_restores_the_library(
    library: Library, recording: Door
) -> None:
    client, other = client_of(library), client_of(library)
    assert llmscope.wrap(client) is client
    library.whole(client, "m")
    library.whole(other, "m")
    assert len(recorded(recording)) == 1
    llmscope.instrument()
    library.whole(client, "m")
    library.whole(other, "m")
    assert len(recorded(recording)) == 2
    llmscope.uninstrument()
    library.whole(other, "m")
    assert recorded(recording) == []


def test_content_is_recorded_where_that_is_wanted(library: Library, door: Door) -> None:
    llmscope.init(api_key="k", url=door.url, spool_directory="off", capture_content=True)
    llmscope.instrument()
    library.whole(client_of(library), "m")
    (event,) = recorded(door)
    llmscope.uninstrument()
    llmscope.shutdown()
    assert "Hi" in json.dumps(event["input_messages"])
    assert "Hi" in json.dumps(event["output_messages"])


def test_instrument_imports_nothing_and_covers_what_is_imported_later() -> None:
    script = (
        "import sys, llmscope\n"
        "names = llmscope.instrument()\n"
        "assert 'openai' in names and 'openai' not in sys.modules\n"
        "import openai\n"
        "request = openai._base_client.SyncAPIClient.request\n"
        "assert hasattr(request, '_llmscope_original')\n"
        "llmscope.uninstrument()\n"
        "assert not hasattr(openai._base_client.SyncAPIClient.request, '_llmscope_original')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={"PYTHONPATH": "src"})
