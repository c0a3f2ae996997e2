"""A client's connection: the feed on its way out, and an eye on whether anybody is there."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from ingest_api.auth import ApiKey
from ingest_api.live.clients import Client
from ingest_api.live.feed import LiveFeed, Start
from ingest_api.live.filters import Filters
from ingest_api.live.messages import Batch
from ingest_api.live.protocols import TRANSPORT, abort

# Given at the start, in milliseconds: how soon a browser comes back by itself.
RETRY_LINE: Final = b"retry: 2000\n\n"
# A client may go at any moment.
GONE: Final = (OSError, WebSocketDisconnect)


async def converse(
    feed: LiveFeed,
    client: Client,
    start: Start,
    send: Callable[[Batch], Awaitable[None]],
    wait_until_gone: Callable[[], Awaitable[None]],
) -> None:
    """Serve a client until it goes, is ended, or is stopped."""
    serving = asyncio.ensure_future(feed.serve(client, start, send))
    watching = asyncio.ensure_future(wait_until_gone())
    client.on_stop = serving.cancel
    both = {serving, watching}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in both:
            one.cancel()
        results = await asyncio.gather(*both, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, GONE):
            raise result


class EventStreamResponse(Response):
    """The feed as Server-Sent Events. It ends when the client goes or the server ends it."""

    media_type = "text/event-stream"

    def __init__(self, feed: LiveFeed, key: ApiKey, filters: Filters, start: Start) -> None:
        # Proxies must neither keep nor gather what is to arrive at once.
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self.feed = feed
        self.key = key
        self.filters = filters
        self.start = start

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, the feed, and the end."""

        def send_bytes(body: bytes, *, more_body: bool = True) -> Awaitable[None]:
            return send({"type": "http.response.body", "body": body, "more_body": more_body})

        async def wait_until_gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        await send_bytes(RETRY_LINE)
        with self.feed.join(self.key, self.filters, self.start) as client:
            await converse(
                self.feed, client, self.start, lambda batch: send_bytes(batch.chunk),
                wait_until_gone,
            )  # fmt: skip
        if client.is_stopped:
            abort(scope.get(TRANSPORT))
        else:
            await send_bytes(b"", more_body=False)


async def serve_socket(
    feed: LiveFeed, key: ApiKey, filters: Filters, start: Start, receive: Receive, send: Send
) -> None:
    """The feed as frames of an accepted WebSocket, closed at the end."""

    async def send_frame(batch: Batch) -> None:
        await send({"type": "websocket.send", "text": batch.frame})

    async def wait_until_gone() -> None:
        # What a client says has no meaning here.
        while (await receive())["type"] != "websocket.disconnect":
            pass

    with feed.join(key, filters, start) as client:
        await converse(feed, client, start, send_frame, wait_until_gone)
    if not client.is_stopped:
        with suppress(*GONE):
            await send({"type": "websocket.close", "code": client.close_code, "reason": ""})
