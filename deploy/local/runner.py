"""The foreground runner: the processes of the Procfile under honcho, their output in files."""

from __future__ import annotations

import fcntl
import logging
import logging.handlers
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from honcho import manager
from honcho.environ import parse_procfile
from honcho.printer import Message, Printer

from deploy.local import external, postgres, supervise
from deploy.local.environment import ROOT, Platform, process_environment
from deploy.local.errors import SetupError

PROCFILE = Path(__file__).with_name("Procfile")
DAGSTER_CONFIGURATION = ROOT / "deploy" / "dagster.yaml"
LOG_BYTES = 10 * 1024 * 1024
# honcho kills 5 s after the first process ended; the supervisors have a grace of their own.
KILL_WAIT_SECONDS = 70


class LogPrinter(Printer):  # type: ignore[misc]  # honcho carries no types
    """Writes the lines of each process to its log file; supervisors' lines also to the terminal."""

    def __init__(self, folder: Path, output: TextIO, is_verbose: bool) -> None:
        """`is_verbose` shows every line on `output`, behind the name of its process."""
        super().__init__(output, time_format="%H:%M:%S")
        self._folder = folder
        self._is_verbose = is_verbose
        self._logs: dict[str, logging.Logger] = {}

    def write(self, message: Message) -> None:
        """Take one line from honcho."""
        data = message.data
        line = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
        self._log(message.name).info(line.rstrip("\n"))
        if self._is_verbose:
            super().write(message)
        elif line.startswith(supervise.PREFIX):
            print(f"  {line.removeprefix(supervise.PREFIX)}", end="", file=self.output, flush=True)

    def _log(self, name: str) -> logging.Logger:
        if name not in self._logs:
            self._logs[name] = _file_logger(name, self._folder / f"{name}.log")
        return self._logs[name]


def _file_logger(name: str, path: Path) -> logging.Logger:
    logger = logging.Logger(name)
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=2)
    logger.addHandler(handler)
    return logger


def selected_processes(
    procfile: Mapping[str, str], platform: Platform, only: Sequence[str]
) -> dict[str, str]:
    """The processes to start: those of `only` or all, without services that exist elsewhere.

    Raises:
        SetupError: `only` names a process that the Procfile does not have.
    """
    unknown = set(only) - set(procfile)
    if unknown:
        names = ", ".join(procfile)
        raise SetupError(f"There is no process {', '.join(sorted(unknown))}: choose from {names}.")
    elsewhere = {"postgres", "redis"} - set(platform.native_processes)
    return {
        name: command
        for name, command in procfile.items()
        if name not in elsewhere and (not only or name in only)
    }


def require_free_ports(platform: Platform, processes: Sequence[str]) -> None:
    """Raise SetupError if a port that `processes` will listen on is taken."""
    for process in processes:
        if process == "daemon":
            continue
        port = platform.port(process)
        if not is_free(port):
            base = 8500 if platform.port_base != 8500 else 8600
            raise SetupError(
                f"Port {port} ({process}) is in use: stop what uses it, "
                f"or choose other ports, for example `LLMSCOPE_PORT_BASE={base} make up`."
            )


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port."""
    with socket.socket() as probe:
        # As servers do, so that a connection that has just closed does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def lock_path(platform: Platform) -> Path:
    """The file that a runner locks, with its pid."""
    return platform.run_folder / "runner.lock"


def runner_pid(platform: Platform) -> int | None:
    """The pid of the runner of `platform`; None if it is not running."""
    path = lock_path(platform)
    if not path.exists():
        return None
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read() or 0) or None
    return None


@contextmanager
def sole_runner(platform: Platform) -> Iterator[None]:
    """Hold the lock of `platform`.

    Raises:
        SetupError: another runner holds it.
    """
    path = lock_path(platform)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(
                "LLMScope is already running in this clone: `make status` shows it, "
                "`make down` stops it."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def prepare(platform: Platform) -> str:
    """Make folders, data folder and configuration ready; give the password of native services."""
    for folder in ("dagster", "logs", "run"):
        (platform.home / folder).mkdir(parents=True, exist_ok=True)
    configuration = DAGSTER_CONFIGURATION.read_text()
    (platform.home / "dagster" / "dagster.yaml").write_text(configuration)
    for stale in platform.run_folder.glob("*.pid"):
        stale.unlink()
    password = postgres.stored_password(platform)
    if "postgres" in platform.native_processes:
        postgres.initialise(platform)
    else:
        external.prepare_databases(process_environment(platform, password, {}))
    return password


def run(platform: Platform, only: Sequence[str], environment: Mapping[str, str]) -> int:
    """Start the processes, stay until they are stopped, and give the exit code.

    Args:
        platform: what to start.
        only: names of processes; empty for all.
        environment: that of this process.

    Raises:
        SetupError: already running, a port is taken, or the data folder cannot be made.
    """
    processes = selected_processes(parse_procfile(PROCFILE.read_text()).processes, platform, only)
    with sole_runner(platform):
        require_free_ports(platform, list(processes))
        password = prepare(platform)
        shared = process_environment(platform, password, environment)
        shared["LLMSCOPE_RUNNER_PID"] = str(os.getpid())
        print(f"LLMScope is starting; logs are in {platform.logs_folder}", flush=True)
        announcer = _announce(list(processes), shared)
        code = _loop(platform, processes, shared)
        announcer.terminate()
        announcer.wait()
    return code


def _announce(processes: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # It must not outlive a runner that is killed.
    guard = ["setpriv", "--pdeathsig", "TERM", "--"]
    command = [*guard, sys.executable, "-m", "deploy.local.ready", *processes]
    return subprocess.Popen(command, cwd=ROOT, env=dict(environment))


def _loop(platform: Platform, processes: Mapping[str, str], environment: dict[str, str]) -> int:
    manager.KILL_WAIT = KILL_WAIT_SECONDS
    is_verbose = environment.get("LLMSCOPE_VERBOSE", "") not in ("", "0")
    runner = manager.Manager(LogPrinter(platform.logs_folder, sys.stdout, is_verbose))
    for name, command in processes.items():
        runner.add_process(name, command, env=environment, cwd=str(ROOT))
    runner.loop()
    # Ctrl-C and `make down` are how it is meant to end.
    code = int(runner.returncode or 0)
    is_stopped = code in {130, 143}
    print("LLMScope is stopped; the data stays." if is_stopped else _broken(code), flush=True)
    return 0 if is_stopped else code


def _broken(code: int) -> str:
    return f"LLMScope stopped because a supervisor ended with code {code}; see `make logs`."
