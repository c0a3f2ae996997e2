"""`make test-sdk-transport`: 100,000 events through a server at its worst, and a SIGKILL."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.machine import machine
from tests.door import Door
from tests.storm import DEFAULT_PACE, Outcome, Pace, run_kill, run_storm

EVENTS = 100_000
SECONDS = 600.0
Experiment = Callable[[Door, Path, int, Pace, float], Outcome]
EXPERIMENTS: dict[str, Experiment] = {
    "503, 429, cut connections and answers, 4 restarts": run_storm,
    "SIGKILL in an outage, then a new process": run_kill,
}


def row(name: str, run: Experiment, count: int) -> tuple[str, bool]:
    """One line of the table, and whether every event came exactly once."""
    door = Door()
    try:
        with tempfile.TemporaryDirectory() as spool:
            outcome = run(door, Path(spool), count, DEFAULT_PACE, SECONDS)
    finally:
        door.stop()
    is_done, losses, reports = outcome.told
    is_exact = is_done and not losses and outcome.distinct == outcome.count
    text = (
        f"| {name} | {outcome.count:,} | {outcome.arrivals:,} | {outcome.distinct:,} |"
        f" {sum(losses.values())} | {len(reports)} | {outcome.seconds:.0f} s |"
    )
    return text, is_exact


def main(count: int) -> int:
    """Print the table; the exit code tells whether every event came exactly once."""
    print(machine())
    print("| what happens | events | arrivals | distinct ids | lost | reports | time |")
    print("|---|---|---|---|---|---|---|")
    verdicts = []
    for name, run in EXPERIMENTS.items():
        text, is_exact = row(name, run, count)
        print(text, flush=True)
        verdicts.append(is_exact)
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS))
