"""One attempt to hand a body to the server, over a connection that is kept open."""

from __future__ import annotations

# Opening a connection looks this codec up, and at the end of a process nothing can be imported.
import encodings.idna  # noqa: F401
import gzip
import http.client
import os
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

from llmscope._transport.verdicts import Answer
from llmscope._version import __version__

BATCH_PATH = "/api/v1/events/ingest/batch"
# Below, the header of gzip and the time to pack cost more than the bytes saved.
MIN_GZIP_BYTES = 1024
# The fastest level: 100 events of 600 bytes pack 8 times smaller in 0.4 ms, level 6 takes 1.2 ms.
GZIP_LEVEL = 1
# An answer names each of 1,000 events at most.
MAX_ANSWER_BYTES = 4 * 2**20
# `ssl.SSLError` and the timeouts are among the first.
_TROUBLES = (OSError, http.client.HTTPException, ValueError)


class Delivery:
    """Not safe for threads: the sender alone uses it."""

    def __init__(self, url: str, api_key: str, timeout_seconds: float) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port)
        self._path = parts.path.rstrip("/") + BATCH_PATH
        self._is_secure = parts.scheme == "https"
        self._timeout_seconds = timeout_seconds
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Content-Type": "application/json",
            "User-Agent": f"llmscope-python/{__version__}",
        }
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes) -> Answer:
        """Send once; every trouble of the network is an answer without a status."""
        headers = dict(self._headers)
        if len(body) >= MIN_GZIP_BYTES:
            body = gzip.compress(body, GZIP_LEVEL)
            headers["Content-Encoding"] = "gzip"
        was_open = self._connection is not None
        try:
            return self._exchange(body, headers)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            self.close()
            if not was_open:
                return _failed(error)
        except _TROUBLES as error:
            self.close()
            return _failed(error)
        # An idle connection that the server has closed says nothing about the server.
        return self._post_anew(body, headers)

    def _post_anew(self, body: bytes, headers: dict[str, str]) -> Answer:
        try:
            return self._exchange(body, headers)
        except _TROUBLES as error:
            self.close()
            return _failed(error)

    def _exchange(self, body: bytes, headers: dict[str, str]) -> Answer:
        if self._connection is None:
            self._connection = self._open()
        self._connection.request("POST", self._path, body, headers)
        response = self._connection.getresponse()
        text = response.read(MAX_ANSWER_BYTES)
        if response.will_close or not response.isclosed():
            self.close()
        return Answer(response.status, text, response.getheader("Retry-After"))

    def _open(self) -> http.client.HTTPConnection:
        host, port = self._address
        if not self._is_secure:
            return http.client.HTTPConnection(host, port, timeout=self._timeout_seconds)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            host, port, timeout=self._timeout_seconds, context=context
        )

    def close(self) -> None:
        """Give up the connection; the next attempt opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def abandon(self) -> None:
        """In a fork: give up this copy of the socket, and touch nothing that reads from it.

        The parent's thread may have been amid an answer, and held the lock of its buffer.
        """
        socket = self._connection.sock if self._connection is not None else None
        if socket is not None:
            with suppress(OSError):
                os.close(socket.detach())


def _failed(error: Exception) -> Answer:
    return Answer(None, failure=f"{type(error).__name__}: {error}")
