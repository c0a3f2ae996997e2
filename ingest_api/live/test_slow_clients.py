"""A client that takes nothing costs itself, and nobody else."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from ingest_api.live.conftest import FeedServer, Message, event, numbers
from ingest_api.live.protocols import STREAM_PATH

# Six of these fill a batch; the kernel holds a few hundred.
LARGE = {"usage_details": {"padding": "x" * 15_000}}
ROUND_EVENTS = 100


@asynccontextmanager
async def open_stuck(
    feed: FeedServer, kind: str, **parameters: str
) -> AsyncIterator[socket.socket]:
    """A connection that has asked for the feed and reads nothing of it."""
    address = urlsplit(feed.url)
    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    extra = upgrade if kind == "ws" else {"Accept": "text/event-stream"}
    headers = {"Host": address.netloc, **feed.headers(), **extra}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((str(address.hostname), int(address.port or 0)))
        target = f"{STREAM_PATH}?{httpx.QueryParams(parameters)}"
        connection.sendall(f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode())
        head = b""
        while b"ready" not in head:
            head += await asyncio.to_thread(connection.recv, 1024)
        yield connection


def dropped_total(feed: FeedServer) -> float:
    text = httpx.get(f"{feed.url}/metrics").text
    (line,) = [
        one for one in text.splitlines() if one.startswith("llmscope_live_events_dropped_total ")
    ]
    return float(line.split(" ")[1])


def client_count(feed: FeedServer) -> float:
    text = httpx.get(f"{feed.url}/metrics").text
    (line,) = [one for one in text.splitlines() if one.startswith("llmscope_live_clients ")]
    return float(line.split(" ")[1])


def read_to_end(connection: socket.socket) -> bytes:
    """What is still there of a closed connection."""
    connection.settimeout(10)
    received = bytearray()
    try:
        while part := connection.recv(2**20):
            received += part
    except ConnectionResetError:
        pass
    return bytes(received)


@pytest.mark.parametrize("kind", ["sse", "ws"])
async def test_a_stuck_client_delays_nobody_and_is_closed_after_a_time(
    feed: FeedServer, kind: str
) -> None:
    before = dropped_total(feed)
    async with open_stuck(feed, kind) as stuck, feed.listen() as quick:
        delays = []
        while client_count(feed) == 2:
            sent_at = time.monotonic()
            await asyncio.to_thread(feed.publish, *(event(n, **LARGE) for n in range(ROUND_EVENTS)))
            assert numbers(await quick.events(ROUND_EVENTS)) == list(range(ROUND_EVENTS))
            delays.append(time.monotonic() - sent_at)
        assert max(delays) < 5
        await asyncio.to_thread(read_to_end, stuck)
    assert dropped_total(feed) > before


async def test_what_a_slow_client_missed_is_counted_and_can_be_had(feed: FeedServer) -> None:
    found: list[Message] = []
    async with (
        feed.listen_by_socket(feed.headers(), {}, max_queue=1, max_size=None) as messages,
        feed.listen() as quick,
    ):
        await anext(messages)
        # The library reads one frame ahead and then no more.
        for start in range(0, 1000, ROUND_EVENTS):
            batch = [event(start + n, **LARGE) for n in range(ROUND_EVENTS)]
            await asyncio.to_thread(feed.publish, *batch)
            await quick.events(ROUND_EVENTS)
        while not found or found[-1]["type"] == "dropped" or numbers(found[-1:]) != [999]:
            async with asyncio.timeout(20):
                message = await anext(messages)
            if message["type"] != "heartbeat":
                found.append(message)
    (dropped,) = [one for one in found if one["type"] == "dropped"]
    place = found.index(dropped)
    assert dropped["resume_after"] == found[place - 1]["id"]
    assert dropped["count"] == 1000 - (len(found) - 1)
    async with feed.listen(last_event_id=dropped["resume_after"]) as listener:
        missed = await listener.events(dropped["count"])
    assert numbers([*found[:place], *missed, *found[place + 1 :]]) == list(range(1000))
