"""What `make` runs once the set-up is done: `python -m deploy.local COMMAND`."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local import postgres, runner
from deploy.local.environment import PORT_OFFSETS, Platform, process_environment
from deploy.local.errors import SetupError
from deploy.local.health import CHECKS, is_healthy
from deploy.local.supervise import is_alive

STOP_SECONDS = 75
# What belongs to the data; the unpacked programs and the logs are kept.
DATA = (
    "postgres", "postgres.new", "redis", "dagster", "reports", "api_key", "secret_key",
    "native_password",
)  # fmt: skip


def down(platform: Platform) -> int:
    """Stop the runner of `platform` and wait until it is gone."""
    pid = runner.runner_pid(platform)
    if pid is None:
        print("LLMScope is not running in this clone.")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while runner.runner_pid(platform) is not None:
        if time.monotonic() > deadline:
            raise SetupError(f"The runner (pid {pid}) did not stop in {STOP_SECONDS} s: kill it.")
        time.sleep(0.1)
    print("LLMScope is stopped; the data stays.")
    return 0


def reset(platform: Platform, is_confirmed: bool) -> int:
    """Delete the data of `platform`, after a question on the terminal.

    Raises:
        SetupError: it is running, or there is no terminal and no CONFIRM=yes.
    """
    if runner.runner_pid(platform) is not None:
        raise SetupError("LLMScope is running: stop it with `make down` before `make reset`.")
    if not is_confirmed and not _is_confirmed_on_terminal(platform):
        print("Nothing was deleted.")
        return 1
    # The keys belong to the data in the database; one of the user's own is not ours to delete.
    kept = {"api_key", "secret_key"} if platform.database_url else set()
    for name in DATA:
        if name not in kept:
            _delete(platform.home / name)
    print(f"The data in {platform.home} is deleted.")
    if platform.database_url:
        print("The database at DATABASE_URL was not touched.")
    return 0


def _is_confirmed_on_terminal(platform: Platform) -> bool:
    if not sys.stdin.isatty():
        raise SetupError("There is no terminal to ask on: run `CONFIRM=yes make reset`.")
    question = f"Delete every event, price, run and key in {platform.home}? Type yes: "
    return input(question).strip() == "yes"


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def status(platform: Platform, environment: Mapping[str, str]) -> int:
    """Print one line per process; 0 if all that should run is healthy."""
    if runner.runner_pid(platform) is None:
        print("LLMScope is not running in this clone: `make up` starts it.")
        return 1
    shared = process_environment(platform, postgres.stored_password(platform), environment)
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda process: is_healthy(process, shared), CHECKS))
    print(f"{'PROCESS':<12} {'PID':<8} {'PORT':<6} HEALTH")
    for process, is_up in zip(CHECKS, answers, strict=True):
        print(status_line(platform, process, is_up))
    return 0 if all(answers) else 1


def status_line(platform: Platform, process: str, is_up: bool) -> str:
    """Name, pid, port and health of one process."""
    if process in {"postgres", "redis"} - set(platform.native_processes):
        return f"{process:<12} {'-':<8} {'-':<6} {'up' if is_up else 'DOWN'} (your own)"
    pid = _living_pid(platform.run_folder / f"{process}.pid")
    port = platform.port(process) if process in PORT_OFFSETS else "-"
    health = "up" if is_up else "starting or stuck" if pid else "DOWN"
    return f"{process:<12} {pid or '-':<8} {port:<6} {health}"


def _living_pid(pid_file: Path) -> int | None:
    if not pid_file.exists():
        return None
    pid = int(pid_file.read_text())
    return pid if is_alive(pid) else None


def logs_command(platform: Platform, processes: Sequence[str]) -> list[str]:
    """The command that follows the logs of `processes`, or all.

    Raises:
        SetupError: nothing has been logged yet, or not by such a process.
    """
    patterns = [f"{process}.log" for process in processes] or ["*.log"]
    files = [path for pattern in patterns for path in sorted(platform.logs_folder.glob(pattern))]
    if not files:
        raise SetupError(f"There is no such log in {platform.logs_folder}: `make up` writes them.")
    return ["tail", "-n", "40", "-F", *map(str, files)]


def psql_command(platform: Platform, environment: Mapping[str, str]) -> tuple[list[str], str]:
    """psql, and the URL that it needs.

    Raises:
        SetupError: no psql is at hand.
    """
    shared = process_environment(platform, postgres.stored_password(platform), environment)
    native = postgres.NATIVE.postgres_bin / "psql"
    program = str(native) if native.exists() else shutil.which("psql")
    if program is None:
        raise SetupError("There is no psql here: install the package postgresql-client.")
    return [program, *([] if sys.stdin.isatty() else ["-X"])], shared["DATABASE_URL"]
