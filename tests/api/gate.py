"""A way to Redis that a test can shut, or make lie."""

import socket
from contextlib import suppress
from select import select
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Final, Literal, Self
from urllib.parse import urlsplit

LOOK_SECONDS: Final = 0.02
# A well-formed answer, and to none of our questions the right one.
NONSENSE: Final = b":1\r\n"


class Gate(ThreadingTCPServer):
    """A TCP proxy on a port of its own.

    Attributes:
        mode: `open` passes everything on, `shut` ends every connection, `lying` answers every
            question with nonsense.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, target_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passage)
        parts = urlsplit(target_url)
        self.target = (str(parts.hostname), int(parts.port or 0))
        self.mode: Literal["open", "shut", "lying"] = "open"
        port = self.server_address[1]
        credentials = parts.netloc.rpartition("@")[0]
        self.url = parts._replace(netloc=f"{credentials}@127.0.0.1:{port}").geturl()

    @property
    def is_shut(self) -> bool:
        """Whether every connection ends."""
        return self.mode == "shut"

    def __enter__(self) -> Self:
        Thread(target=self.serve_forever, args=(LOOK_SECONDS,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.mode = "shut"
        self.shutdown()
        self.server_close()


class _Passage(BaseRequestHandler):
    server: Gate
    request: socket.socket

    def handle(self) -> None:
        if self.server.is_shut:
            return
        # A side may leave at any moment.
        with suppress(OSError), socket.create_connection(self.server.target) as redis:
            while not self.server.is_shut and self._pass_on(redis):
                pass

    def _pass_on(self, redis: socket.socket) -> bool:
        """Whether both sides are still there."""
        readable, _, _ = select([self.request, redis], [], [], LOOK_SECONDS)
        for side in readable:
            data = side.recv(65536)
            if not data:
                return False
            if side is redis:
                self.request.sendall(data)
            elif self.server.mode == "lying":
                self.request.sendall(NONSENSE)
            else:
                redis.sendall(data)
        return True
