"""A server that speaks OpenAI's and Anthropic's HTTP API, and remembers what it answered.

It counts as the two do: OpenAI's input contains what was cached, Anthropic's does not.
"""

import itertools
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

STATUS_MODEL = "status-"


class Answer(NamedTuple):
    """What a client was answered, in the words of an event; None where it was not told.

    Attributes:
        client: The API key of the request.
    """

    client: str
    provider_name: str
    operation_name: str
    request_model: str
    response_model: str | None
    response_id: str | None
    is_stream: bool
    http_status_code: int | None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None


class ProviderServer:
    """Listens on a free port of the loopback interface."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.numbers = itertools.count(1)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self) -> str:
        """Where clients of Anthropic point; those of OpenAI add `/v1`."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        """End the server and its thread."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def _handler(provider: ProviderServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
            client = self.headers.get("x-api-key") or bearer
            reply = _reply(self.path, body, client, next(provider.numbers))
            provider.answers.append(reply.answer)
            media = "text/event-stream" if reply.answer.is_stream else "application/json"
            self.send_response(reply.answer.http_status_code or 200)
            self.send_header("content-type", media)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    return Handler


class _Reply(NamedTuple):
    answer: Answer
    body: bytes


def _reply(path: str, request: dict[str, Any], client: str, number: int) -> _Reply:
    model = request["model"]
    if model.startswith(STATUS_MODEL):
        return _failure(path, model, client)
    if path.endswith("/embeddings"):
        return _embeddings(model, client, number)
    if path.endswith("/responses"):
        return _response(model, client, number)
    if path.endswith("/messages"):
        return _message(model, client, number, bool(request.get("stream")))
    return _chat(model, client, number, bool(request.get("stream")))


def _failure(path: str, model: str, client: str) -> _Reply:
    status = int(model.removeprefix(STATUS_MODEL))
    provider = "anthropic" if path.endswith("/messages") else "openai"
    answer = Answer(client, provider, "chat", model, None, None, False, status)
    error = {"type": "overloaded_error", "message": "Come back later.", "code": "overloaded"}
    return _Reply(answer, _json({"type": "error", "error": error}))


def _embeddings(model: str, client: str, number: int) -> _Reply:
    answer = Answer(
        client, "openai", "embeddings", model, model, None, False, None, input_tokens=10 + number
    )
    usage = {"prompt_tokens": answer.input_tokens, "total_tokens": answer.input_tokens}
    data = [{"object": "embedding", "index": n, "embedding": [0.5, 0.25]} for n in range(2)]
    return _Reply(answer, _json({"object": "list", "data": data, "model": model, "usage": usage}))


def _openai_answer(
    model: str, client: str, number: int, response_id: str, is_stream: bool
) -> Answer:
    return Answer(
        client, "openai", "chat", model, f"{model}-2025-08-07", response_id, is_stream, None,
        input_tokens=1000 + number, output_tokens=200 + number,
        cache_read_input_tokens=512 + number, reasoning_output_tokens=64 + number,
    )  # fmt: skip


def _response(model: str, client: str, number: int) -> _Reply:
    answer = _openai_answer(model, client, number, f"resp_{number}", is_stream=False)
    text = {"type": "output_text", "text": "Two.", "annotations": []}
    message = {
        "type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed",
        "content": [text],
    }  # fmt: skip
    usage = {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": answer.cache_read_input_tokens},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning_output_tokens},
        "total_tokens": (answer.input_tokens or 0) + (answer.output_tokens or 0),
    }
    body = {
        "id": answer.response_id, "object": "response", "created_at": 1795000000,
        "status": "completed", "model": answer.response_model, "output": [message],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage,
    }  # fmt: skip
    return _Reply(answer, _json(body))


def _chat(model: str, client: str, number: int, is_stream: bool) -> _Reply:
    answer = _openai_answer(model, client, number, f"chatcmpl-{number}", is_stream)
    usage = {
        "prompt_tokens": answer.input_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cache_read_input_tokens},
        "completion_tokens": answer.output_tokens,
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning_output_tokens},
        "total_tokens": (answer.input_tokens or 0) + (answer.output_tokens or 0),
    }
    head = {"id": answer.response_id, "created": 1795000000, "model": answer.response_model}
    if is_stream:
        return _Reply(answer, b"".join(_chat_chunks(head, usage)))
    message = {"role": "assistant", "content": "Two."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
    return _Reply(answer, _json(body))


def _chat_chunks(head: dict[str, Any], usage: dict[str, Any]) -> Iterator[bytes]:
    head = {**head, "object": "chat.completion.chunk"}
    for delta, reason in (({"role": "assistant", "content": "Two."}, None), ({}, "stop")):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        yield b"data: " + _json({**head, "choices": [choice], "usage": None}) + b"\n\n"
    yield b"data: " + _json({**head, "choices": [], "usage": usage}) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _message(model: str, client: str, number: int, is_stream: bool) -> _Reply:
    read, write, uncached = 300 + number, 200 + number, 50 + number
    answer = Answer(
        client, "anthropic", "chat", model, f"{model}-20250929", f"msg_{number}", is_stream, None,
        input_tokens=uncached + read + write, output_tokens=70 + number,
        cache_read_input_tokens=read, cache_write_input_tokens=write,
    )  # fmt: skip
    usage = {
        "input_tokens": uncached,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": write,
        "cache_creation": {
            "ephemeral_5m_input_tokens": write - 50,
            "ephemeral_1h_input_tokens": 50,
        },
        "output_tokens": answer.output_tokens,
        "service_tier": "standard",
    }
    head = {
        "id": answer.response_id, "type": "message", "role": "assistant",
        "model": answer.response_model, "stop_sequence": None,
    }  # fmt: skip
    if is_stream:
        return _Reply(answer, b"".join(_message_events(head, usage)))
    content = [{"type": "text", "text": "Two."}]
    body = {**head, "content": content, "stop_reason": "end_turn", "usage": usage}
    return _Reply(answer, _json(body))


def _message_events(head: dict[str, Any], usage: dict[str, Any]) -> Iterator[bytes]:
    """The input is told at the start, all of the output at the end."""
    first = {**head, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    text = {"type": "text", "text": ""}
    delta = {"type": "text_delta", "text": "Two."}
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    for event in (
        {"type": "message_start", "message": first},
        {"type": "content_block_start", "index": 0, "content_block": text},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": stop,
            "usage": {"output_tokens": usage["output_tokens"]},
        },
        {"type": "message_stop"},
    ):
        yield f"event: {event['type']}\ndata: ".encode() + _json(event) + b"\n\n"


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
