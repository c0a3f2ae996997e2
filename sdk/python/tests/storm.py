"""Many events through a server at its worst, and through the death of the process that sends them.

The door's events are the ledger: keyed by `event_id`, so that what comes twice is one.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmscope._transport.lines import read_lines
from tests.door import Behaviour, Door
from tests.senders import ENVIRONMENT, numbers

# Every second request fails. "half" stores the events and cuts the answer: they come again.
WEATHER: tuple[Behaviour, ...] = (202, 202, 202, 202, 503, 429, "cut", "half")
SEED = 20_261_126
# Shares of the events after whose arrival the server goes away.
RESTARTS = (0.1, 0.3, 0.5, 0.7)
SENDER = """
import json, sys, time
from llmscope._client import Client
from llmscope._options import resolve
from llmscope._transport.backoff import Backoff

url, spool, first, count, per_second, first_pause, max_pause = sys.argv[1:]
reports = []
options = {"api_key": "k", "url": url, "spool_directory": spool, "on_error": reports.append}
client = Client(resolve(options, {}), Backoff(float(first_pause), float(max_pause)))
started = time.monotonic()
for n in range(int(count)):
    client.record({"provider_name": "openai", "request_model": "gpt-4o-mini", "input_tokens": 900,
                   "output_tokens": 80, "user_id": "u-7", "tags": {"n": str(int(first) + n)}})
    if n % 100 == 99:
        time.sleep(max(0.0, n / float(per_second) - (time.monotonic() - started)))
print("recorded", flush=True)
is_done = client.flush(600)
client.shutdown()
print(json.dumps([is_done, client.losses.counts(), [str(error) for error in reports]]), flush=True)
"""


@dataclass(frozen=True)
class Pace:
    """How fast a process records, and how long it waits after failures, in seconds."""

    events_per_second: float
    first_pause: float
    max_pause: float


DEFAULT_PACE = Pace(5_000, 0.5, 30.0)
FAST_PACE = Pace(5_000, 0.01, 0.1)


@dataclass(frozen=True)
class Outcome:
    """What became of the events.

    Attributes:
        arrivals: Events that the server stored, each time that one came.
        distinct: Ids among them.
        missing: Numbers of events that never came.
        told: What the sender said at its end: whether all is delivered, losses, reports.
    """

    count: int
    arrivals: int
    distinct: int
    missing: list[int]
    told: Any
    seconds: float


def start_sender(door: Door, spool: Path, first: int, count: int, pace: Pace) -> Any:
    """A process that records events `first` and following."""
    numbers_of_it = (first, count, pace.events_per_second, pace.first_pause, pace.max_pause)
    command = [sys.executable, "-c", SENDER, door.url, str(spool), *map(str, numbers_of_it)]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)


def wait_for(holds: Callable[[], object], what: str, seconds: float) -> None:
    """Return once it holds, fail with `what` after so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.01)


def _weather() -> Iterator[Behaviour]:
    chance = random.Random(SEED)
    while True:
        yield chance.choice(WEATHER)


def _restart(door: Door, spool: Path, count: int, seconds: float) -> None:
    for share in RESTARTS:
        wait_for(lambda at=share * count: len(door.events) >= at, "events arrive", seconds)
        door.stop()
        wait_for(lambda: spooled_ids(spool), "events are on disk", seconds)
        door.start_again()


def run_storm(door: Door, spool: Path, count: int, pace: Pace, seconds: float) -> Outcome:
    """Send `count` events while the server fails half of the requests and restarts four times."""
    started = time.monotonic()
    door.behaviours = _weather()
    process = start_sender(door, spool, 0, count, pace)
    restarts = threading.Thread(target=_restart, args=(door, spool, count, seconds))
    restarts.start()
    restarts.join()
    output, _ = process.communicate(timeout=seconds)
    return _outcome(door, count, json.loads(output.splitlines()[-1]), started)


def run_kill(door: Door, spool: Path, count: int, pace: Pace, seconds: float) -> Outcome:
    """Kill a process in an outage while it records; what it had stored or sent must arrive."""
    started = time.monotonic()
    process = start_sender(door, spool, 0, count, pace)
    wait_for(lambda: len(door.events) >= count * 0.2, "events arrive", seconds)
    door.stop()
    wait_for(lambda: len(spooled_ids(spool)) >= count * 0.2, "events are spooled", seconds)
    process.kill()
    process.communicate()
    safe = spooled_ids(spool) | door.events.keys()
    door.start_again()
    door.behaviours = _weather()
    following = start_sender(door, spool, count, 1, pace)
    output, _ = following.communicate(timeout=seconds)
    lost = safe - door.events.keys()
    assert not lost, f"{len(lost)} events were on disk and never came"
    return _outcome(door, len(safe) + 1, json.loads(output.splitlines()[-1]), started)


def _outcome(door: Door, count: int, told: Any, started: float) -> Outcome:
    came = numbers(door)
    missing = sorted(set(range(count)) - set(came))
    seconds = time.monotonic() - started
    return Outcome(count, sum(door.bodies), len(door.events), missing, told, seconds)


def spooled_ids(spool: Path) -> set[str]:
    """Events that are on disk, whoever left them."""
    found: set[str] = set()
    for path in spool.rglob("*.ndjson"):
        try:
            lines, _ = read_lines(path.read_bytes())
        except FileNotFoundError:
            continue
        found.update(line.event_id for line in lines)
    return found
