"""Starts copies of the platform, or parts of it, for tests and measurements."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import psycopg

from deploy.local import postgres
from deploy.local.environment import PORT_OFFSETS, ROOT, platform_from, process_environment

START_SECONDS = 180.0
STOP_SECONDS = 90.0


def wait_until(
    holds: Callable[[], object], what: str, seconds: float, pause_seconds: float = 0.1
) -> object:
    """Return the first true value of `holds`, or fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if value := holds():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(pause_seconds)


def free_port_base() -> int:
    """The first of as many consecutive free loopback ports as a platform needs."""
    # Far from those of a process that was started a moment before or after.
    for base in range(21000 + os.getpid() * 37 % 1000 * 10, 65000, 10):
        if all(_is_free(base + offset) for offset in PORT_OFFSETS.values()):
            return base
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@dataclass(frozen=True)
class RunningPlatform:
    """A platform in its own folder and on its own ports.

    Attributes:
        environment: What its processes see.
    """

    home: Path
    environment: dict[str, str]
    api_url: str
    dagster_url: str

    @property
    def database_url(self) -> str:
        """The ledger's database."""
        return self.environment["DATABASE_URL"]

    @property
    def redis_url(self) -> str:
        """The event stream's Redis."""
        return self.environment["REDIS_URL"]

    @property
    def api_key(self) -> str:
        """The key that the first start seeded."""
        return (self.home / "api_key").read_text().strip()

    def query(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of one statement."""
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(statement, parameters).fetchall()

    def pid(self, process: str) -> int | None:
        """The pid of a process; None while its supervisor waits before the next start."""
        try:
            pid = int((self.home / "run" / f"{process}.pid").read_text())
            parent = _parent(pid)
            command = Path(f"/proc/{parent}/cmdline").read_text()
        except (OSError, ValueError):
            return None
        # The pid of one that has ended may belong to a stranger by now.
        return pid if "deploy.local.supervise" in command else None

    def kill(self, process: str, how: signal.Signals = signal.SIGKILL) -> bool:
        """Signal one process; whether it was there. Its supervisor starts it again."""
        pid = self.pid(process)
        if pid is not None:
            os.kill(pid, how)
        return pid is not None

    def supervisor_pid(self, process: str) -> int:
        """The pid of what starts a process again.

        Raises:
            AssertionError: the process does not run just now.
        """
        pid = self.pid(process)
        assert pid is not None, f"{process} does not run"
        return _parent(pid)

    @contextmanager
    def hold_down(self, process: str) -> Iterator[None]:
        """Kill a process and its children; it starts again when the context ends."""
        supervisor, pid = self.supervisor_pid(process), self.pid(process)
        assert pid is not None
        os.kill(supervisor, signal.SIGSTOP)
        try:
            os.killpg(pid, signal.SIGKILL)
            yield
        finally:
            os.kill(supervisor, signal.SIGCONT)

    def run_command(self, *command: str, timeout: float = 300) -> str:
        """Output of a command in the environment of the processes.

        Raises:
            AssertionError: it failed; the message holds its output.
        """
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, timeout=timeout, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command} failed:\n{done.stdout[-4000:]}"
        return done.stdout

    def client(self) -> httpx.Client:
        """An HTTP client that carries the key."""
        headers = {"Authorization": f"Bearer {self.api_key}"}
        return httpx.Client(base_url=self.api_url, headers=headers, timeout=20)


def _parent(pid: int) -> int:
    """The parent of a process that lives.

    Raises:
        ProcessLookupError: it is gone, or dead and not yet waited for.
    """
    state, parent = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[:2]
    if state == "Z":
        raise ProcessLookupError(pid)
    return int(parent)


@contextmanager
def run_platform(
    home: Path, only: Sequence[str] = (), extra: Mapping[str, str] = MappingProxyType({})
) -> Iterator[RunningPlatform]:
    """A platform, whole or in part, until the context ends. Its data stays in `home`.

    `extra` holds further settings.
    """
    base = free_port_base()
    settings = {
        **{name: value for name, value in os.environ.items() if not name.startswith("LLMSCOPE_")},
        "LLMSCOPE_HOME": str(home),
        "LLMSCOPE_PORT_BASE": str(base),
        **extra,
    }
    command = [sys.executable, "-m", "deploy.local", "up", "--only", ",".join(only)]
    home.mkdir(parents=True, exist_ok=True)
    log_path = home / "up.log"
    with log_path.open("w") as log:
        runner = subprocess.Popen(command, cwd=ROOT, env=settings, stdout=log, stderr=log)
        try:
            _wait_for_ready(runner, log_path)
            yield _describe(settings)
        finally:
            runner.send_signal(signal.SIGTERM)
            runner.wait(STOP_SECONDS)


def _wait_for_ready(runner: subprocess.Popen[bytes], log_path: Path) -> None:
    def ready() -> bool:
        text = log_path.read_text()
        assert runner.poll() is None, f"the platform stopped:\n{text[-4000:]}"
        return "LLMScope is ready" in text

    try:
        wait_until(ready, "the platform is ready", START_SECONDS)
    except AssertionError:
        runner.send_signal(signal.SIGTERM)
        raise


def _describe(settings: dict[str, str]) -> RunningPlatform:
    platform = platform_from(settings)
    environment = process_environment(platform, postgres.stored_password(platform), settings)
    return RunningPlatform(platform.home, environment, platform.api_url, platform.dagster_url)
