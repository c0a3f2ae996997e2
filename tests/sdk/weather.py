"""A proxy before the API that refuses, cuts connections and cuts answers."""

import itertools
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import httpx

# One after the other. "cut" closes before the request goes on; "half" hands it on and cuts its
# answer.
BEHAVIOURS: Final = ("hand on", "503", "hand on", "429", "hand on", "cut", "half")
HANDED_ON: Final = ("authorization", "content-type", "content-encoding")


class BadWeather:
    """Listens on a free port of the loopback interface.

    Attributes:
        counts: Requests by what became of them.
    """

    def __init__(self, api_url: str) -> None:
        self.counts: dict[str, int] = dict.fromkeys((*BEHAVIOURS, "away"), 0)
        self.behaviours = itertools.cycle(BEHAVIOURS)
        self.client = httpx.Client(base_url=api_url, timeout=20)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    @property
    def url(self) -> str:
        """Where the SDK points."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def stop(self) -> None:
        """End the server, its thread and its connections to the API."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        self.client.close()


def _handler(weather: BadWeather) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            behaviour = next(weather.behaviours)
            weather.counts[behaviour] += 1
            if behaviour == "cut":
                self.close_connection = True
            elif behaviour.isdigit():
                self.answer(int(behaviour), b"{}")
            else:
                self.hand_on(body, is_cut=behaviour == "half")

        def hand_on(self, body: bytes, is_cut: bool) -> None:
            headers = {name: self.headers[name] for name in HANDED_ON if self.headers[name]}
            try:
                answer = weather.client.post(self.path, content=body, headers=headers)
            except httpx.TransportError:
                weather.counts["away"] += 1
                self.answer(502, b"")
                return
            self.answer(answer.status_code, answer.content, is_cut)

        def answer(self, status: int, content: bytes, is_cut: bool = False) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if is_cut else content)
            self.close_connection = is_cut

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    return Handler
