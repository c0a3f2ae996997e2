"""`make bench-live`: from the API to 200 watching clients, as one table."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import monotonic
from typing import Final, NamedTuple

import httpx
import msgspec

from benchmarks.ingest.figures import Figure, below, machine, markdown
from benchmarks.ingest.open_loop import LoadResult, read_result, run_generator
from benchmarks.live import retention
from benchmarks.live.listeners import Heard
from tests.running import RunningPlatform, run_platform

READERS: Final = 200
EVENTS_PER_SECOND: Final = 500
SECONDS: Final = 10.0
ROUNDS: Final = 2
CUT_READERS: Final = 20
MOST_P99_MS: Final = 500.0
# A stuck client is to be stuck, and not closed, for the whole of a run.
SETTINGS: Final = {
    "LLMSCOPE_LIVE_BUFFER_BYTES": "1048576",
    "LLMSCOPE_LIVE_STALL_SECONDS": "60",
}


class Run(NamedTuple):
    """One measurement.

    Attributes:
        api_cpu_ratio: Cores that the API used, with taking the events.
        dropped: Events that a client was too slow for.
    """

    heard: Heard
    load: LoadResult
    api_cpu_ratio: float
    dropped: float


class Bench:
    """An API with its servers, and numbers for events that nobody sent before."""

    def __init__(self, platform: RunningPlatform) -> None:
        self.platform = platform
        self._stamp = 0

    def run(self, stuck: int = 0, cut: int = 0, readers: int = READERS) -> Run:
        """Offer events while clients listen."""
        listeners = self._start_listeners(readers, stuck, cut)
        dropped, cpu, begin = self._dropped(), self._api_cpu_seconds(), monotonic()
        load = read_result(run_generator(self.platform, self._stamp, EVENTS_PER_SECOND, SECONDS, 0))
        self._stamp += round(EVENTS_PER_SECOND * SECONDS)
        used = (self._api_cpu_seconds() - cpu) / (monotonic() - begin)
        output, _ = listeners.communicate("", timeout=60)
        heard = msgspec.json.decode(output, type=Heard)
        return Run(heard, load, used, self._dropped() - dropped)

    def _start_listeners(self, *counts: int) -> subprocess.Popen[str]:
        key_file = self.platform.home / "api_key"
        command = [sys.executable, "-m", "benchmarks.live.listeners", self.platform.api_url]
        listeners = subprocess.Popen(
            [*command, str(key_file), *map(str, counts)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert listeners.stdout is not None  # noqa: S101 - it is a pipe
        if listeners.stdout.readline() != "ready\n":
            raise AssertionError("the listeners did not start")
        return listeners

    def _api_cpu_seconds(self) -> float:
        stat = Path(f"/proc/{self.platform.pid('api')}/stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def _dropped(self) -> float:
        """Counted when a client has gone."""
        name = "llmscope_live_events_dropped_total "
        lines = httpx.get(f"{self.platform.api_url}/metrics").text.splitlines()
        return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def measure(platform: RunningPlatform) -> Iterator[Figure]:
    """All figures."""
    bench = Bench(platform)
    bench.run(readers=10)
    alone, beside = [], []
    for _ in range(ROUNDS):
        alone.append(bench.run())
        beside.append(bench.run(stuck=1))
    yield from describe_alone(alone)
    yield from describe_stuck(alone, beside)
    yield from describe_resumed(bench.run(cut=CUT_READERS))
    yield from retention.measure(platform.redis_url)


def describe_alone(runs: Sequence[Run]) -> Iterator[Figure]:
    """Delivery to clients that all read."""
    p50 = median(run.heard.p50_ms for run in runs)
    p99 = median(run.heard.p99_ms for run in runs)
    name = f"{EVENTS_PER_SECOND} events/s to {READERS} clients"
    yield Figure(f"{name}: accept to delivery, p50", f"{p50:.1f} ms")
    yield below(f"{name}: accept to delivery, p99", p99, MOST_P99_MS, "ms")
    deliveries = runs[0].heard.deliveries
    yield Figure(f"{name}: deliveries in {SECONDS:g} s", f"{deliveries:,}")
    yield below(f"{name}: missing or repeated", float(sum(map(faults, runs))), 1, "events")
    cores = median(run.api_cpu_ratio for run in runs)
    clients = median(run.heard.cpu_seconds for run in runs) / SECONDS
    yield Figure(f"{name}: cores of the API; of all clients", f"{cores:.2f}; {clients:.2f}")


def describe_stuck(alone: Sequence[Run], beside: Sequence[Run]) -> Iterator[Figure]:
    """What one more client that never reads does to the others."""
    ratio = median(
        with_it.heard.p99_ms / without.heard.p99_ms
        for with_it, without in zip(beside, alone, strict=True)
    )
    p99 = median(run.heard.p99_ms for run in beside)
    name = "beside a client that never reads"
    yield below(f"{name}: accept to delivery, p99", p99, MOST_P99_MS, "ms")
    yield Figure(f"{name}: ratio to the p99 without it", f"{ratio:.2f}")
    yield below(f"{name}: missing or repeated", float(sum(map(faults, beside))), 1, "events")
    dropped = sum(run.dropped for run in beside)
    yield Figure(f"{name}: events dropped for it alone", f"{dropped:,.0f}")


def describe_resumed(run: Run) -> Iterator[Figure]:
    """What clients miss that lose their connection once a second."""
    name = f"{CUT_READERS} clients cut off {run.heard.reconnections} times"
    yield below(f"{name}: missing or repeated", float(faults(run)), 1, "events")


def faults(run: Run) -> int:
    """Deliveries that are not once; events that were accepted and nobody heard of count too."""
    unheard = run.load.events - run.load.failures - run.heard.events
    return run.heard.missing + run.heard.repeated + abs(unheard)


def main() -> int:
    """Measure, print the table; 1 if a target is missed."""
    print("Everything runs on this machine, clients and load too: let nothing else run.")
    figures: list[Figure] = []
    with (
        tempfile.TemporaryDirectory(prefix="llmscope-bench-live-") as folder,
        run_platform(Path(folder), ["postgres", "redis", "api"], SETTINGS) as platform,
    ):
        for figure in measure(platform):
            print(f"  {figure.what}: {figure.value}", flush=True)
            figures.append(figure)
    print(f"\n{machine()}; {datetime.now(UTC):%Y-%m-%d}\n")
    print(markdown(figures))
    return int(any(figure.is_met is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
