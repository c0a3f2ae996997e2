"""A webhook that really listens, and can go down and come up again on its port."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WebhookServer:
    """Remembers what it was sent; answers with `status`."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.status = 204
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/secret-token"

    def start(self) -> None:
        remember = self.remember

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(remember(body, self.headers.get("Idempotency-Key")))
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def remember(self, body: bytes, key: str | None) -> int:
        if self.status < 300:
            self.bodies.append(json.loads(body))
            self.keys.append(key)
        return self.status

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
