"""Providers behind a mock transport: the real client libraries, and answers of our own."""

from __future__ import annotations

import importlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import openai

USAGE = {
    "prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 4},
}  # fmt: skip
CLAUDE_USAGE = {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 1}
CHAT = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024"}
CHUNK = {**CHAT, "object": "chat.completion.chunk"}
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-4", "stop_reason": None,
    "stop_sequence": None, "content": [], "usage": CLAUDE_USAGE,
}  # fmt: skip
SAID = [{"role": "user", "content": "Hi"}]


def http_of(library: Any) -> Any:
    """The HTTP library that a client library builds on: httpx, or its successor."""
    return importlib.import_module(
        next(kind.__module__.split(".")[0] for kind in library.DefaultHttpxClient.__mro__[1:])
    )


def openai_client(handler: Any, **options: Any) -> openai.OpenAI:
    http = http_of(openai)
    transport = http.Client(transport=http.MockTransport(handler))
    return openai.OpenAI(api_key="sk-test", http_client=transport, max_retries=0, **options)


def async_openai_client(handler: Any) -> openai.AsyncOpenAI:
    http = http_of(openai)
    handler.parts = AsyncParts
    transport = http.AsyncClient(transport=http.MockTransport(handler))
    return openai.AsyncOpenAI(api_key="sk-test", http_client=transport, max_retries=0)


def anthropic_client(handler: Any) -> anthropic.Anthropic:
    http = http_of(anthropic)
    transport = http.Client(transport=http.MockTransport(handler))
    return anthropic.Anthropic(api_key="sk-test", http_client=transport, max_retries=0)


def async_anthropic_client(handler: Any) -> anthropic.AsyncAnthropic:
    http = http_of(anthropic)
    handler.parts = AsyncParts
    transport = http.AsyncClient(transport=http.MockTransport(handler))
    return anthropic.AsyncAnthropic(api_key="sk-test", http_client=transport, max_retries=0)


class Parts:
    """A body that comes in parts, cut where it suits nobody, and may break off."""

    def __init__(self, body: bytes, breaks: BaseException | None) -> None:
        self.parts = [body[at : at + 37] for at in range(0, len(body), 37)]
        self.breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        yield from self.parts
        if self.breaks is not None:
            raise self.breaks


class AsyncParts:
    """`Parts` for the asynchronous client."""

    def __init__(self, body: bytes, breaks: BaseException | None) -> None:
        self.parts = Parts(body, breaks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part


class Provider:
    """Answers as OpenAI and Anthropic do.

    Attributes:
        requests: What was asked for.
        breaks: What a stream raises after its first event, None where it comes to its end.
    """

    def __init__(self, http: Any) -> None:
        self.http = http
        self.requests: list[dict[str, Any]] = []
        self.breaks: BaseException | None = None
        self.parts: type[Parts | AsyncParts] = Parts

    def __call__(self, request: Any) -> Any:
        body = json.loads(request.content)
        self.requests.append(body)
        path = request.url.path
        if body["model"] == "unknown":
            error = {"error": {"message": "No such model.", "type": "not_found", "code": "404"}}
            return self.http.Response(404, json=error)
        if body.get("stream"):
            return self._stream(claude_events() if "messages" in path.split("/") else chunks(body))
        return self.http.Response(200, json=_answer(path, body))

    def _stream(self, events: list[bytes]) -> Any:
        whole = events if self.breaks is None else events[:1]
        return self.http.Response(
            200,
            headers={"content-type": "text/event-stream"},
            content=self.parts(b"".join(whole), self.breaks),
        )


def _answer(path: str, body: dict[str, Any]) -> dict[str, Any]:
    if path.endswith("/embeddings"):
        usage = {"prompt_tokens": 8, "total_tokens": 8}
        data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
        return {"object": "list", "model": "embed-1", "data": data, "usage": usage}
    if path.endswith("/responses"):
        usage = {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}
        return {
            "id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5", "output": [],
            "status": "completed", "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
            "usage": usage,
        }  # fmt: skip
    if "messages" in path.split("/"):
        content = [{"type": "text", "text": "Hi"}]
        return {**MESSAGE, "content": content, "stop_reason": "end_turn"}
    message = {"role": "assistant", "content": '{"answer": 2}', "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return {**CHAT, "choices": [choice], "usage": USAGE}


def chunks(body: dict[str, Any]) -> list[bytes]:
    """What OpenAI streams, with usage only where it is asked for."""
    asks = (body.get("stream_options") or {}).get("include_usage")
    null: dict[str, Any] = {"usage": None} if asks else {}
    texts: list[dict[str, Any]] = [
        {**CHUNK, "choices": [_delta({"role": "assistant", "content": ""})], **null},
        {**CHUNK, "choices": [_delta({"content": 'He said: ,"usage":null'})], **null},
        {**CHUNK, "choices": [{**_delta({}), "finish_reason": "stop"}], **null},
    ]
    if asks:
        texts.append({**CHUNK, "choices": [], "usage": USAGE})
    encoded = [json.dumps(text, separators=(",", ":")).encode() for text in texts]
    return [b"data: " + text + b"\n\n" for text in [*encoded, b"[DONE]"]]


def _delta(delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": None}


def claude_events() -> list[bytes]:
    """What Anthropic streams."""
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": MESSAGE},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
         "usage": {"output_tokens": 25}},
        {"type": "message_stop"},
    ]  # fmt: skip
    return [f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events]
