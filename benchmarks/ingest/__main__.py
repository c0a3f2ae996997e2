"""`make bench-ingest`: what ingestion costs on this machine, as one table."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from benchmarks.ingest import loading, pipeline, throughput
from benchmarks.ingest.figures import Figure, machine, markdown
from tests.traffic import corpus, read_call_sizes

PARTS: Final[Mapping[str, Callable[[], Iterator[Figure]]]] = {
    "api": throughput.run,
    "loader": loading.run,
    "latency": pipeline.run_latency,
    "whole": pipeline.run_whole,
}


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to measure"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Measure, print the table; 1 if a target is missed."""
    options = parse_arguments(arguments)
    print("Everything runs on this machine, the load generators too: let nothing else run.")
    figures: list[Figure] = []
    for name in options.only:
        print(f"measuring: {name}", flush=True)
        for figure in PARTS[name]():
            print(f"  {figure.what}: {figure.value}", flush=True)
            figures.append(figure)
    print(f"\n{machine()}; {datetime.now(UTC):%Y-%m-%d}")
    print(f"Token counts: {read_call_sizes(corpus()).origin}\n")
    print(markdown(figures))
    return int(any(figure.is_met is False for figure in figures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
