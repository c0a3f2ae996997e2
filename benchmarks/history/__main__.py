"""`python -m benchmarks.history --calls 20000000`: build the history and leave its data."""

import argparse
import sys
from pathlib import Path
from time import perf_counter

from benchmarks.history.building import HOME, extend, open_history


def main(arguments: list[str]) -> int:
    """Build, and say how far it is after each slice."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000_000)
    parser.add_argument("--home", type=Path, default=HOME)
    options = parser.parse_args(arguments)
    with open_history(options.home, options.calls) as services:
        started = perf_counter()
        for count in extend(services, options.calls):
            print(f"{count:,} calls after {perf_counter() - started:,.0f} s", flush=True)
        print(f"The history is in {services.home}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
