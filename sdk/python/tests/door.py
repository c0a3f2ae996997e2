"""A real HTTP server that takes events as LLMScope does, and misbehaves as a test wants."""

from __future__ import annotations

import gzip
import itertools
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Union

BATCH_PATH = "/api/v1/events/ingest/batch"
MAX_BODY_BYTES = 5 * 2**20
# A status; "cut": close without an answer; "half": store, then cut the answer in the middle;
# "pause": store, and send the second half of the answer once `is_resumed`.
Behaviour = Union[int, str]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is what tests want; everything else is printed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Door:
    """Listens on a free port of the loopback interface, or on `port`.

    Attributes:
        events: What was stored, by id: an event that comes twice is one.
        behaviours: What to do with the next requests; afterwards all is well.
        rejects: Why an event is rejected, None where it is not.
        waiting_count: Requests that wait while a test holds the lock.
        bodies: How many events each body brought that was stored, those known already too.
    """

    def __init__(self, port: int = 0) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.order: list[str] = []
        self.behaviours: Iterator[Behaviour] = iter(())
        self.rejects: Callable[[dict[str, Any]], str | None] = lambda _event: None
        self.headers: dict[str, str] = {}
        self.bodies: list[int] = []
        self.connections = itertools.count()
        self.connection_count = 0
        self.waiting_count = 0
        self.is_paused = threading.Event()
        self.is_resumed = threading.Event()
        self.sockets: set[socket.socket] = set()
        self.lock = threading.Lock()
        self._open(port)

    def _open(self, port: int) -> None:
        self.server = _Server(("127.0.0.1", port), _handler(self))
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """As a process that is killed: open connections break."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        for connection in list(self.sockets):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def start_again(self) -> None:
        """On the same port."""
        self._open(self.port)

    def wait_for(self, count: int, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while len(self.events) < count:
            assert time.monotonic() < deadline, f"{len(self.events)} of {count} events came"
            time.sleep(0.01)

    def take(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        accepted, rejected = [], []
        self.waiting_count += 1
        with self.lock:
            self.waiting_count -= 1
            self.bodies.append(len(events))
            for index, event in enumerate(events):
                reason = self.rejects(event)
                if reason:
                    rejected.append({"index": index, "field": "tags", "reason": reason})
                    continue
                accepted.append(event["event_id"])
                if event["event_id"] not in self.events:
                    self.order.append(event["event_id"])
                self.events[event["event_id"]] = event
        return {"accepted": accepted, "rejected": rejected}

    def write(self, file: Any, text: bytes, behaviour: Behaviour) -> None:
        middle = len(text) // 2 if behaviour in ("half", "pause") else len(text)
        file.write(text[:middle])
        if behaviour == "pause":
            self.is_paused.set()
            self.is_resumed.wait()
            file.write(text[middle:])


def _handler(door: Door) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            door.connection_count = next(door.connections) + 1
            door.sockets.add(self.request)
            super().setup()

        def finish(self) -> None:
            door.sockets.discard(self.request)
            with suppress(OSError):
                super().finish()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            door.headers = {name.lower(): value for name, value in self.headers.items()}
            if self.headers["content-encoding"] == "gzip":
                body = gzip.decompress(body)
            behaviour = next(door.behaviours, 202)
            if behaviour == "cut":
                self.close_connection = True
                return
            if behaviour not in (202, "half", "pause"):
                self.answer(int(behaviour), {"detail": "not now"})
                return
            assert self.path == BATCH_PATH
            told = door.take(json.loads(body))
            self.answer(202 if told["accepted"] else 422, told, behaviour)

        def answer(self, status: int, document: dict[str, Any], behaviour: Behaviour = "") -> None:
            text = json.dumps(document).encode()
            self.send_response(status)
            if status in (429, 503):
                self.send_header("retry-after", "0")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            door.write(self.wfile, text, behaviour)
            self.close_connection = behaviour == "half"

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    return Handler
