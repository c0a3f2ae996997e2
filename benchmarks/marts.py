"""`make bench-marts`: does a build, or an insert, take longer on a longer history?"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final

import psycopg

from benchmarks.history.building import HOME, extend, first_free_day, open_history
from benchmarks.history.increments import NEW_CALLS, Increment, measure_increment
from benchmarks.ingest.figures import Figure, at_least, machine, markdown
from tests.running import RunningPlatform

CALLS: Final = (1_000_000, 5_000_000, 20_000_000)
# The first parses the project and warms the caches; it does not count.
ROUNDS: Final = 6
MOST_RATIO: Final = 1.3
LEAST_INSERT_RATIO: Final = 0.8
SHOWN_MODELS: Final = 8
TIDY: Final = "vacuum (analyze)"
# Tests of a build look at the calls of the last ten minutes, of which a history just made is full.
TESTS_LOOK_BACK_SECONDS: Final = 600


def measure(services: RunningPlatform, rounds: int) -> list[Increment]:
    """Increments on the history as it is, the first left out.

    Each has an hour of its own, of a day that only these increments have: no length of the history
    meets what was added to another.
    """
    # As autovacuum would have left it: the bulk of the history came within minutes.
    with psycopg.connect(services.database_url, autocommit=True) as connection:
        connection.execute(TIDY)
    day = first_free_day(services)
    hours = [day + timedelta(hours=number) for number in range(rounds)]
    return [measure_increment(services, hour) for hour in hours][1:]


def figures(call_count: int, increments: Sequence[Increment]) -> Iterator[Figure]:
    """What increments take on a history of `call_count` calls."""
    on = f"on {call_count / 1e6:g} million calls"
    yield Figure(f"build after {NEW_CALLS:,} new calls, {on}", f"{build_seconds(increments):.1f} s")
    cpu = f"{build_cpu_seconds(increments):.1f} s"
    yield Figure(f"processor time of that build, dbt and PostgreSQL, {on}", cpu)
    yield Figure(f"loader, {on}: calls/s", f"{loader_rate(increments):,.0f}")


def ratios(first: Sequence[Increment], last: Sequence[Increment], what: str) -> Iterator[Figure]:
    """How the longest history compares with the shortest."""
    for name, ratio in (
        ("build", build_seconds(last) / build_seconds(first)),
        ("processor time of the build", build_cpu_seconds(last) / build_cpu_seconds(first)),
    ):
        is_met = ratio <= MOST_RATIO
        yield Figure(f"{name}, {what}", f"{ratio:.2f}", f"at most {MOST_RATIO}", is_met)
    inserted = loader_rate(last) / loader_rate(first)
    yield at_least(f"loader, {what}", inserted, LEAST_INSERT_RATIO, ".2f")


def build_seconds(increments: Sequence[Increment]) -> float:
    """By the clock."""
    return median(one.build.seconds for one in increments)


def build_cpu_seconds(increments: Sequence[Increment]) -> float:
    """Of dbt and PostgreSQL together."""
    return median(one.build.cpu_seconds for one in increments)


def loader_rate(increments: Sequence[Increment]) -> float:
    """Calls per second."""
    return median(one.loaded_per_second for one in increments)


def print_models(increments: Sequence[Increment]) -> None:
    """What of a build takes longest."""
    total: Counter[str] = Counter()
    for one in increments:
        total.update(one.model_seconds)
    for name, seconds in total.most_common(SHOWN_MODELS):
        print(f"    {seconds / len(increments):6.2f} s  {name}")


def main(arguments: list[str]) -> int:
    """Build, measure, print the table; 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.marts", description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=CALLS, help="of the histories")
    parser.add_argument("--home", type=Path, default=HOME, help="where the histories are and stay")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(arguments)
    print("Everything runs on this machine: let nothing else run.")
    found: list[Figure] = []
    measured: dict[int, list[Increment]] = {}
    for call_count in sorted(options.calls):
        with open_history(options.home, call_count) as services:
            built = 0
            for built in extend(services, call_count):
                print(f"  {built:,} calls are built", flush=True)
            if built:
                print("  waiting until tests no longer look at them", flush=True)
                time.sleep(TESTS_LOOK_BACK_SECONDS)
            measured[call_count] = measure(services, options.rounds)
        found += figures(call_count, measured[call_count])
        print_models(measured[call_count])
    first, last = min(measured), max(measured)
    what = f"{last / 1e6:g} million against {first / 1e6:g} million"
    found += ratios(measured[first], measured[last], what)
    print(f"\n{machine()}; {datetime.now(UTC):%Y-%m-%d}\n")
    print(markdown(found))
    return int(any(figure.is_met is False for figure in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
