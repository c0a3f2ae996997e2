"""A webhook that really listens, can go down and come up again on its port, and can misbehave."""

import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

# What it does with a request: answer, answer never, take the body and cut the line, or answer
# byte after byte without an end.
Behaviour = Literal["answer", "hang", "cut", "drip"]


@dataclass(frozen=True)
class Received:
    """One request as it came. Header names are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def content(self) -> dict[str, Any]:
        """The body as JSON."""
        content: dict[str, Any] = json.loads(self.body)
        return content

    @property
    def key(self) -> str | None:
        """The idempotency key."""
        return self.headers.get("idempotency-key")


@dataclass
class WebhookServer:
    """Remembers what it was sent; answers with `status`, and `headers`.

    Attributes:
        received: Every request, refused ones too.
        bodies: What was taken.
        keys: The idempotency key of each.
    """

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    behaviour: Behaviour = "answer"
    port: int = 0
    received: list[Received] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.released = threading.Event()
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/secret-token"

    @property
    def accepted(self) -> list[Received]:
        """What was taken, one per idempotency key, as a receiver that honours the key keeps it."""
        taken = [one for one in self.received if one.status < 300]
        return list({one.key: one for one in reversed(taken)}.values())[::-1]

    def start(self) -> None:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                owner.handle(self)

            def log_message(self, *_: object) -> None:
                pass

        self.released.clear()
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.remember(Received(request.path, headers, body, self.status))
        if self.behaviour == "answer":
            self.answer(request)
        elif self.behaviour == "hang":
            self.released.wait()
        elif self.behaviour == "drip":
            self.drip(request)
        else:
            request.connection.shutdown(socket.SHUT_RDWR)
        request.close_connection = True

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(self.status)
        for name, value in self.headers.items():
            request.send_header(name, value)
        request.end_headers()

    def drip(self, request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        try:
            while not self.released.wait(0.1):
                request.wfile.write(b"x")
        except OSError:
            pass

    def remember(self, one: Received) -> None:
        self.received.append(one)
        if one.status < 300 and self.behaviour != "hang":
            self.bodies.append(one.content)
            self.keys.append(one.key)

    def stop(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
