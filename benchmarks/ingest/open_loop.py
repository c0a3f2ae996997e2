"""A load generator with a fixed schedule: a slow answer does not delay the next request.

Latency is measured from the moment at which a request was due, so that a stalled server shows in
every request that should have been sent meanwhile. The generator's own timer of 1 ms and its share
of the cores are part of the figure.

`python -m benchmarks.ingest.open_loop URL KEY_FILE FIRST_STAMP REQUESTS_PER_SECOND SECONDS
BATCH_EVENTS`, with BATCH_EVENTS 0 for single events; prints `LoadResult` as JSON.
"""

import asyncio
import itertools
import subprocess
import sys
from collections import deque
from pathlib import Path
from time import perf_counter, process_time
from typing import Final, cast
from urllib.parse import urlsplit

import msgspec
import uvloop

from benchmarks.ingest.bodies import event_count, make_bodies, stamped
from tests.running import RunningPlatform

CONNECTIONS: Final = 64
BODIES: Final = 200
LATE_SECONDS: Final = 20.0
ROUTES: Final = {True: "/api/v1/events/ingest/batch", False: "/api/v1/events/ingest"}


class LoadResult(msgspec.Struct):
    """What one run came to.

    Attributes:
        failures: Answers other than 202.
        seconds: From the first due moment to the last answer.
        p50_ms, p99_ms, max_ms: Latency of the answers from their due moments.
        cpu_seconds: Processor time that the generator took.
    """

    requests: int
    events: int
    failures: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_seconds: float


def run_generator(
    platform: RunningPlatform,
    first_stamp: int,
    requests_per_second: float,
    seconds: float,
    batch_events: int,
) -> subprocess.Popen[str]:
    """Start the generator in a process of its own; `read_result` waits for its end."""
    numbers = (first_stamp, requests_per_second, seconds, batch_events)
    url = platform.api_url + ROUTES[batch_events > 0]
    command = [sys.executable, "-m", __name__, url, str(platform.home / "api_key")]
    return subprocess.Popen([*command, *map(str, numbers)], stdout=subprocess.PIPE, text=True)


def read_result(generator: subprocess.Popen[str]) -> LoadResult:
    """What a generator measured.

    Raises:
        AssertionError: it failed.
    """
    output, _ = generator.communicate()
    if generator.returncode:
        raise AssertionError(f"the load generator ended with code {generator.returncode}")
    return msgspec.json.decode(output, type=LoadResult)


class Connection(asyncio.Protocol):
    """One kept-open connection with at most one request under way."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._received = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._load.idle.append(self)

    def send(self, due: float, request: bytes) -> None:
        """Send a request that was due at `due`."""
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or len(body) < _content_length(head):
            return
        self._received = b""
        self._load.answered(self, self._due, head.startswith(b"HTTP/1.1 202"))

    def connection_lost(self, error: Exception | None) -> None:
        if not self._load.done.done():
            self._load.done.set_exception(error or ConnectionResetError("the server hung up"))


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0])


class Load:
    """The requests of one run."""

    def __init__(self, head: bytes, bodies: list[bytes], first_stamp: int) -> None:
        self.idle: deque[Connection] = deque()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.latencies: list[float] = []
        self.failures = 0
        self._waiting: deque[float] = deque()
        requests = [head + b"content-length: %d\r\n\r\n%b" % (len(b), b) for b in bodies]
        self._requests = itertools.cycle(requests)
        self._stamps = itertools.count(first_stamp)

    async def run(self, count: int, requests_per_second: float) -> float:
        """Send `count` requests on schedule; the seconds until the last answer.

        Raises:
            OSError: a connection broke.
            TimeoutError: answers are missing `LATE_SECONDS` after the end.
        """
        begin = perf_counter()
        for number in range(count):
            due = begin + number / requests_per_second
            while perf_counter() < due:
                await self._tick()
            self._waiting.append(due)
            self._send_waiting()
        async with asyncio.timeout(LATE_SECONDS):
            while len(self.latencies) < count:
                await self._tick()
        self.done.set_result(None)
        return perf_counter() - begin

    def answered(self, connection: Connection, due: float, is_accepted: bool) -> None:
        """Note an answer, and use the connection again."""
        self.latencies.append(perf_counter() - due)
        self.failures += not is_accepted
        self.idle.append(connection)
        self._send_waiting()

    async def _tick(self) -> None:
        await asyncio.sleep(0.001)
        if self.done.done():
            self.done.result()

    def _send_waiting(self) -> None:
        while self._waiting and self.idle:
            request = stamped(next(self._requests), next(self._stamps))
            self.idle.popleft().send(self._waiting.popleft(), request)


def request_head(url: str, key: str) -> bytes:
    """The head of every request, up to its length."""
    parts = urlsplit(url)
    return (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {key}\r\n"
        "content-type: application/json\r\n"
    ).encode()


async def offer(load: Load, url: str, requests_per_second: float, seconds: float) -> float:
    """Connect, send at a fixed rate for so long; errors and result as `Load.run`."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    for _ in range(CONNECTIONS):
        await loop.create_connection(
            lambda: Connection(load), str(parts.hostname), parts.port or 80
        )
    return await load.run(round(requests_per_second * seconds), requests_per_second)


async def measure(
    url: str, key: str, first_stamp: int, rate: float, seconds: float, batch: int
) -> LoadResult:
    """One run."""
    bodies = make_bodies(BODIES, batch)
    load = Load(request_head(url, key), bodies, first_stamp)
    cpu_before = process_time()
    spent = await offer(load, url, rate, seconds)
    cpu_seconds = process_time() - cpu_before
    milliseconds = sorted(1000 * latency for latency in load.latencies)
    count = len(milliseconds)
    return LoadResult(
        requests=count,
        events=count * event_count(bodies) // len(bodies),
        failures=load.failures,
        seconds=spent,
        p50_ms=milliseconds[count // 2],
        p99_ms=milliseconds[count * 99 // 100],
        max_ms=milliseconds[-1],
        cpu_seconds=cpu_seconds,
    )


def main(url: str, key_file: str, first_stamp: str, rate: str, seconds: str, batch: str) -> None:
    """Run once, print the result."""
    key = Path(key_file).read_text().strip()
    result = measure(url, key, int(first_stamp), float(rate), float(seconds), int(batch))
    print(msgspec.json.encode(uvloop.run(result)).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
