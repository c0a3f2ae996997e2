"""Tell the terminal what is up, and at the end where everything is.

`python -m deploy.local.ready PROCESS...` is started by the runner beside the processes.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.local.environment import Platform, platform_from
from deploy.local.health import is_healthy, wait_until_healthy

DEADLINE_SECONDS = 240


def ready_block(platform: Platform, processes: Sequence[str], seconds: float) -> str:
    """Where everything is, for the terminal."""
    lines = [f"LLMScope is ready after {seconds:.0f} s. Ctrl-C stops it; the data stays."]
    if "api" in processes:
        lines += [
            f"  API       {platform.api_url}/docs",
            f"  Reports   {platform.api_url}/reports/",
        ]
    if "webserver" in processes:
        lines.append(f"  Dagster   {platform.dagster_url}")
    lines.append("  Database  make psql")
    if "api" in processes:
        lines.append(f"  API key   {shown_path(platform.home / 'api_key')}")
    return "\n".join(["", *lines, ""])


def shown_path(path: Path) -> str:
    """`path` as short as it can be written from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def not_ready_text(process: str, log: Path) -> str:
    """What to say about a process that does not come up, with the end of its log."""
    tail = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
    head = f"{process} did not come up within {DEADLINE_SECONDS} s; see {shown_path(log)}:"
    return "\n".join([head, *(f"  {line}" for line in tail)])


def main(processes: list[str]) -> int:
    """Report each process as it becomes healthy; 1 if one does not."""
    platform = platform_from(os.environ)
    is_up = functools.partial(is_healthy, environment=os.environ)
    started = time.monotonic()
    for process in processes:
        if not wait_until_healthy(process, is_up, started + DEADLINE_SECONDS):
            print(not_ready_text(process, platform.logs_folder / f"{process}.log"), flush=True)
            return 1
        print(f"  {process:<12} up after {time.monotonic() - started:4.1f} s", flush=True)
    print(ready_block(platform, processes, time.monotonic() - started), flush=True)
    return 0


if __name__ == "__main__":
    # Ctrl-C on the terminal reaches this process too.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
