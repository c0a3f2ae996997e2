"""Many clients of the live feed in one cheap process.

A client notes when each frame came and which one it was; frames are the same bytes for all clients,
so each is kept and read once, after the run. What is measured ends where Python has the bytes.

`python -m benchmarks.live.listeners URL KEY_FILE CLIENTS STUCK CUT` connects CLIENTS readers, STUCK
more that read nothing, prints `ready`, and goes on until its standard input ends. CUT of the
readers lose their connection once a second and come back with the last id. Prints `Heard` as JSON.
"""

import asyncio
import os
import random
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from time import time
from typing import Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

import msgspec
import uvloop

from ingest_api.live.protocols import STREAM_PATH

CUT_SECONDS: Final = 1.0
# What was sent last is on its way.
LAST_SECONDS: Final = 1.0
STUCK_BUFFER_BYTES: Final = 4096


class Heard(msgspec.Struct):
    """What all readers heard.

    Attributes:
        events: Different events.
        deliveries: Events that all readers had, together.
        missing, repeated: Deliveries too few or too many; none of both is right.
        reconnections: How often a reader was cut off and came back.
        p50_ms, p99_ms, max_ms: From `received_at`, before the event is on disk, to the reader.
        cpu_seconds: What this process used.
    """

    readers: int
    events: int
    deliveries: int
    missing: int
    repeated: int
    reconnections: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_seconds: float


class Target(NamedTuple):
    """Where the feed is."""

    host: str
    port: int
    key: str

    def handshake(self, last_id: str) -> bytes:
        """The request that opens a WebSocket."""
        query = f"?last_event_id={last_id}" if last_id else ""
        return (
            f"GET {STREAM_PATH}{query} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
            f"Authorization: Bearer {self.key}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ).encode()


class Frames:
    """Different frames, each kept once."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def number_of(self, frame: bytes) -> int:
        """The number of a frame."""
        return self._numbers.setdefault(frame, len(self._numbers))

    def read(self) -> list[list[tuple[str, float]]]:
        """Id and `received_at`, in seconds, of the events of each frame."""
        return [list(_events(frame)) for frame in self._numbers]


def _events(frame: bytes) -> Iterator[tuple[str, float]]:
    for message in msgspec.json.decode(frame):
        if message["type"] == "event":
            received_at = datetime.fromisoformat(message["event"]["received_at"])
            yield message["id"], received_at.timestamp()


def last_id(frame: bytes) -> str:
    """Where a client is behind a frame; empty where it is where it was."""
    found: str = msgspec.json.decode(frame)[-1].get("id", "")
    return found


class Reader(asyncio.Protocol):
    """One client; it lives on over the connections that it has one after the other."""

    def __init__(self, frames: Frames, target: Target) -> None:
        self.frames = frames
        self.target = target
        self.arrivals: list[tuple[float, int]] = []
        self.is_ready = asyncio.Event()
        self.transport: asyncio.Transport | None = None
        self._received = b""
        self._last_frame = b""
        self._is_open = False

    async def connect(self) -> None:
        """Open a connection behind what has been read, and wait until the feed answers."""
        self._received, self._is_open = b"", False
        self.is_ready.clear()
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, self.target.host, self.target.port)
        await self.is_ready.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        position = last_id(self._last_frame) if self._last_frame else ""
        self.transport.write(self.target.handshake(position))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._is_open:
            head, separator, rest = self._received.partition(b"\r\n\r\n")
            if not separator:
                return
            assert head.startswith(b"HTTP/1.1 101"), head  # noqa: S101 - the run is void
            self._received, self._is_open = rest, True
        now = time()
        while (frame := self._take_frame()) is not None:
            self._last_frame = frame
            self.arrivals.append((now, self.frames.number_of(frame)))
            self.is_ready.set()

    def _take_frame(self) -> bytes | None:
        """The payload of the next frame, where it is complete. A server's frames are not masked."""
        data = self._received
        if len(data) < 2:
            return None
        size, start = data[1] & 127, 2
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        if len(data) < start + size:
            return None
        self._received = data[start + size :]
        return data[start : start + size]


async def open_stuck(target: Target) -> socket.socket:
    """A connection whose client asks for the feed and never reads."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STUCK_BUFFER_BYTES)
    connection.connect((target.host, target.port))
    connection.sendall(target.handshake(""))
    return connection


async def cut_off(readers: list[Reader], stop: asyncio.Event) -> int:
    """Have readers lose their connection again and again; how often they did."""
    count = 0
    while readers and not stop.is_set():
        for reader in readers:
            assert reader.transport is not None  # noqa: S101 - it is connected
            reader.transport.abort()
            await asyncio.sleep(random.uniform(0, CUT_SECONDS / len(readers)))
            await reader.connect()
            count += 1
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), CUT_SECONDS)
    return count


def sum_up(readers: list[Reader], frames: Frames, reconnections: int) -> Heard:
    """Compare what each reader heard with what any of them did."""
    events_of = frames.read()
    everything = {identity for events in events_of for identity, _ in events}
    latencies: list[float] = []
    missing = repeated = 0
    for reader in readers:
        heard = [one for _, number in reader.arrivals for one, _ in events_of[number]]
        missing += len(everything - set(heard))
        repeated += len(heard) - len(set(heard))
        for at, number in reader.arrivals:
            latencies += [at - received_at for _, received_at in events_of[number]]
    latencies.sort()
    count = len(latencies)
    return Heard(
        readers=len(readers), events=len(everything), deliveries=count, missing=missing,
        repeated=repeated, reconnections=reconnections, p50_ms=1000 * latencies[count // 2],
        p99_ms=1000 * latencies[count * 99 // 100], max_ms=1000 * latencies[-1], cpu_seconds=0.0,
    )  # fmt: skip


def cpu_seconds() -> float:
    """What this process used of the processors."""
    times = os.times()
    return times.user + times.system


async def listen(target: Target, reader_count: int, stuck_count: int, cut_count: int) -> Heard:
    """One run."""
    frames = Frames()
    readers = [Reader(frames, target) for _ in range(reader_count)]
    for reader in readers:
        await reader.connect()
    stuck = [await open_stuck(target) for _ in range(stuck_count)]
    print("ready", flush=True)
    before, stop = cpu_seconds(), asyncio.Event()
    cutting = asyncio.create_task(cut_off(readers[:cut_count], stop))
    await asyncio.to_thread(sys.stdin.read)
    stop.set()
    reconnections = await cutting
    await asyncio.sleep(LAST_SECONDS)
    used = cpu_seconds() - before
    for connection in stuck:
        connection.close()
    return msgspec.structs.replace(sum_up(readers, frames, reconnections), cpu_seconds=used)


def main(url: str, key_file: str, *counts: str) -> None:
    """Listen, print what was heard."""
    parts = urlsplit(url)
    target = Target(str(parts.hostname), int(parts.port or 80), Path(key_file).read_text().strip())
    numbers: Any = map(int, counts)
    print(msgspec.json.encode(uvloop.run(listen(target, *numbers))).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
