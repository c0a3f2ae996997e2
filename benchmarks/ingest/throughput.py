"""The API against a bare handler on the same server, in turns under the same load generator."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import httpx
import psycopg
import redis

from benchmarks.idle import cpu_seconds
from benchmarks.ingest import wrk
from benchmarks.ingest.bodies import make_bodies
from benchmarks.ingest.figures import Figure, at_least, ratio
from benchmarks.ingest.open_loop import ROUTES
from deploy.local.environment import ROOT
from tests.running import RunningPlatform, free_port_base, run_platform, wait_until

ROUNDS: Final = 5
SECONDS: Final = 4
WARM_UP_SECONDS: Final = 1
BATCH_EVENTS: Final = 100
LEAST_SINGLE_RATIO: Final = 0.60
LEAST_BATCH_EVENTS_PER_SECOND: Final = 100_000
# All limits are on and checked, and none is reached; nothing is loaded meanwhile.
HIGH_LIMITS: Final = {
    "LLMSCOPE_MAX_STREAM_ENTRIES": "100000000",
    "LLMSCOPE_MAX_REDIS_MEMORY_BYTES": str(16 * 1024**3),
}
SET_LIMITS: Final = """
update app.api_keys set max_events_per_second = 100000000;
update app.projects set max_events_per_day = 100000000000;
"""
KEYS_ARE_FRESH_SECONDS: Final = 6


class Load(NamedTuple):
    """One kind of request.

    Attributes:
        connections: As many requests as are under way at once; each server is judged by the number
            at which it answers most.
    """

    name: str
    batch_events: int
    body_count: int
    connections: tuple[int, ...]


SINGLE: Final = Load("single events", 0, 5_000, (64, 256))
BATCH: Final = Load(f"batches of {BATCH_EVENTS}", BATCH_EVENTS, 200, (16,))


class Round(NamedTuple):
    """One run against one server.

    Attributes:
        cpu_us_per_request: Processor time of each of its processes.
    """

    requests_per_second: float
    cpu_us_per_request: list[float]


class Server(NamedTuple):
    """What is measured: where it listens, and its processes."""

    url: str
    key: str
    pids: tuple[int, ...]

    def measure(self, load: Load, bodies: Path, connections: int, seconds: int) -> Round:
        """One run.

        Raises:
            AssertionError: not every answer was a 202.
        """
        before = [cpu_seconds(pid) for pid in self.pids]
        url = self.url + ROUTES[load.batch_events > 0]
        found = wrk.run(url, self.key, bodies, connections, seconds)
        if found.failures:
            raise AssertionError(f"{found.failures} requests to {url} failed")
        spent = [cpu_seconds(pid) - past for pid, past in zip(self.pids, before, strict=True)]
        return Round(found.requests_per_second, [1e6 * cpu / found.requests for cpu in spent])


@contextmanager
def bare_server(kind: str) -> Iterator[Server]:
    """A bare handler, `asgi` or `fastapi`, in a process of its own."""
    port = free_port_base()
    command = [sys.executable, "-m", "benchmarks.ingest.bare", str(port), kind]
    process = subprocess.Popen(command, cwd=ROOT)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.post(url).status_code == 202
        except httpx.TransportError:
            return False

    try:
        wait_until(answers, "the bare handler answers", 20)
        yield Server(url, "none", (process.pid,))
    finally:
        process.terminate()
        process.wait()


def switch_limits_on(platform: RunningPlatform) -> None:
    """A rate limit and a quota for the key, too high to be reached."""
    with psycopg.connect(platform.database_url, autocommit=True) as connection:
        connection.execute(SET_LIMITS)


def run(rounds: int = ROUNDS) -> Iterator[Figure]:
    """Both kinds of requests."""
    with (
        tempfile.TemporaryDirectory() as folder,
        run_platform(Path(folder) / "home", ["postgres", "redis", "api"], HIGH_LIMITS) as platform,
        bare_server("asgi") as bare,
        bare_server("fastapi") as framework,
    ):
        switch_limits_on(platform)
        pids = [platform.pid(name) for name in ("api", "redis")]
        api = Server(platform.api_url, platform.api_key, tuple(filter(None, pids)))
        for load in (SINGLE, BATCH):
            bodies = Path(folder) / "bodies"
            wrk.write_bodies(make_bodies(load.body_count, load.batch_events), bodies)
            api.measure(load, bodies, load.connections[0], KEYS_ARE_FRESH_SECONDS)
            for server in (bare, framework):
                server.measure(load, bodies, load.connections[0], WARM_UP_SECONDS)
            yield from compare(platform, (api, bare, framework), load, bodies, rounds)


def compare(
    platform: RunningPlatform,
    servers: tuple[Server, Server, Server],
    load: Load,
    bodies: Path,
    rounds: int,
) -> Iterator[Figure]:
    """The API, a bare ASGI handler and a bare FastAPI handler in turns, and what comes of it."""
    found: list[dict[int, list[Round]]] = [{n: [] for n in load.connections} for _ in servers]
    for _ in range(rounds):
        with redis.Redis.from_url(platform.redis_url) as client:
            client.flushdb()
        for connections in load.connections:
            for server, by_connections in zip(servers, found, strict=True):
                measured = server.measure(load, bodies, connections, SECONDS)
                by_connections[connections].append(measured)
    for connections in load.connections:
        name = f"API, bare ASGI, bare FastAPI, {load.name}, {connections} connections: requests/s"
        yield Figure(name, ", ".join(f"{_rate(one[connections]):,.0f}" for one in found))
    yield from figures(load, *(max(one.values(), key=_rate) for one in found))


def figures(
    load: Load, ours: list[Round], asgi: list[Round], framework: list[Round]
) -> Iterator[Figure]:
    """Rates, their ratios, and the CPU time behind them."""
    name = f"API, {load.name}"
    if load.batch_events:
        events_per_second = _rate(ours) * load.batch_events
        yield at_least(f"{name}: events/s", events_per_second, LEAST_BATCH_EVENTS_PER_SECOND)
    else:
        for kind, theirs in (("ASGI", asgi), ("FastAPI", framework)):
            what = f"{name}: share of a bare {kind} handler's rate, each at its best"
            yield at_least(what, _share(ours, theirs), LEAST_SINGLE_RATIO, ".2f")
    api, redis_server = (median(r.cpu_us_per_request[n] for r in ours) for n in (0, 1))
    bare = [median(r.cpu_us_per_request[0] for r in rounds) for rounds in (asgi, framework)]
    yield Figure(
        f"processor time of a request, {load.name}: API + Redis, bare ASGI, bare FastAPI",
        f"{api:,.0f} + {redis_server:,.0f} µs, {bare[0]:,.0f} µs, {bare[1]:,.0f} µs",
    )


def _rate(rounds: list[Round]) -> float:
    return median(r.requests_per_second for r in rounds)


def _share(ours: list[Round], theirs: list[Round]) -> float:
    return ratio([r.requests_per_second for r in ours], [r.requests_per_second for r in theirs])
