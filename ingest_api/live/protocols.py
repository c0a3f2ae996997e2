"""What the feed needs of uvicorn's protocols: an end for answers that have none, and for clients
that never read what was sent to them.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any, Final

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

# uvicorn's own names the URL of each connection at `info`, with whatever it carries.
_terse_logger = logging.getLogger(__name__)
_terse_logger.addFilter(lambda record: record.levelno >= logging.WARNING)

STREAM_PATH: Final = "/api/v1/events/stream"
_STREAM_URL: Final = STREAM_PATH.encode()
# Of a request for the feed: what its connection is written to.
TRANSPORT: Final = "llmscope.transport"
# What was written before a connection was closed may take so long to be read.
LINGER_SECONDS: Final = 5.0


class FeedHttpProtocol(HttpToolsProtocol):
    """Ends feeds when the server stops; it would wait for them in vain."""

    def on_headers_complete(self) -> None:
        """Let a feed have its transport."""
        if self.url.startswith(_STREAM_URL):
            self.scope[TRANSPORT] = self.transport  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def shutdown(self) -> None:
        """End all feeds of this process; uvicorn tells each connection that the server stops."""
        super().shutdown()
        services = getattr(getattr(self.app, "state", None), "services", None)
        if services is not None:
            services.feed.end_all()


class FeedWebSocketProtocol(WebSocketsSansIOProtocol):
    """Logs no URLs, which may carry a token, and closes connections whatever the client does."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = _terse_logger

    async def send(self, message: ASGISendEvent) -> None:
        """Count a refusal as the end of a handshake; uvicorn would call it a fault."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True

    async def run_asgi(self) -> None:
        """Serve, close, and do not wait for ever until the rest has been read."""
        await super().run_asgi()
        self.loop.call_later(LINGER_SECONDS, self._abort)

    def _abort(self) -> None:
        with suppress(OSError):
            self.transport.abort()


def abort(transport: asyncio.Transport | None) -> None:
    """Close a connection whose client reads nothing; what it was sent is lost."""
    if transport is not None:
        transport.abort()
