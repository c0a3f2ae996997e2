"""`make bench-checks`: what all quality checks after a build cost, on millions of calls of history.

The process of the checks begins with its imports, as the run in Dagster does; Dagster's own start
of a run is not in the figure.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import psycopg

from benchmarks.history.building import HOME, extend, open_history
from benchmarks.history.increments import NEW_CALLS, measure_increment
from benchmarks.ingest.figures import Figure, below, machine, markdown
from benchmarks.marts import TIDY
from deploy.local.environment import ROOT
from tests.running import RunningPlatform

CALLS: Final = 5_000_000
ROUNDS: Final = 3
MOST_SECONDS: Final = 20.0
MOST_MB: Final = 500.0
RUN_ID: Final = "benchmark"


class Cost(NamedTuple):
    """What a run of all checks took; memory is the process's own peak."""

    seconds: float
    memory_mb: float


def measure(services: RunningPlatform) -> Cost:
    """Run all checks in a process of their own.

    Raises:
        AssertionError: they could not be run.
    """
    command = [sys.executable, "-m", "benchmarks.checks", "--judge"]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=services.environment)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, "the checks could not be run"  # noqa: S101 - nothing to measure else
    return Cost(time.perf_counter() - started, usage.ru_maxrss / 1024)


def judge_all() -> None:
    """All suites, their rows in app.check_results and their page; says what each suite took."""
    from orchestration.checking.data_docs import DataDocs
    from orchestration.checking.quality_checks import judge, read_windows, suites_of
    from orchestration.resources import Warehouse

    warehouse = Warehouse(database_url=os.environ["DATABASE_URL"])
    docs = DataDocs(
        home=os.environ["LLMSCOPE_HOME"], public_url="", dagster_url="", kept_runs=ROUNDS
    )
    now = datetime.now(UTC)
    results = judge(warehouse, docs, RUN_ID, now)
    with warehouse.connect() as connection:
        suites = suites_of(read_windows(connection, now))
    failed = [one.check_name for one in results if not one.passed]
    print(f"    {len(results)} checks of {len(suites)} suites; not passed: {failed}", flush=True)


def figures(costs: list[Cost], call_count: int) -> Iterator[Figure]:
    """Medians against what the checks may cost."""
    on = f"after a build of {NEW_CALLS:,} new calls on {call_count / 1e6:g} million"
    yield below(f"all checks {on}", median(one.seconds for one in costs), MOST_SECONDS, "s")
    yield below("memory of their process", max(one.memory_mb for one in costs), MOST_MB, "MB")


def main(arguments: list[str]) -> int:
    """Build, measure, print the table; 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checks", description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS, help="of the history")
    parser.add_argument("--home", type=Path, default=HOME, help="where the history is and stays")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--judge", action="store_true", help="run the checks once, in $DATABASE_URL"
    )
    options = parser.parse_args(arguments)
    if options.judge:
        judge_all()
        return 0
    print("Everything runs on this machine: let nothing else run.")
    with open_history(options.home, options.calls) as services:
        for built in extend(services, options.calls):
            print(f"  {built:,} calls are built", flush=True)
        with psycopg.connect(services.database_url, autocommit=True) as connection:
            connection.execute(TIDY)
        measure_increment(services)
        costs = [measure(services) for _ in range(options.rounds)]
    found = list(figures(costs, options.calls))
    print(f"\n{machine()}; {datetime.now(UTC):%Y-%m-%d}\n")
    print(markdown(found))
    return int(any(figure.is_met is False for figure in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
