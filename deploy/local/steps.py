"""Long steps of the set-up: progress on the terminal, output in a log, one sentence on failure."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.local.errors import SetupError

NETWORK_SIGNS = (
    "could not resolve",
    "name resolution",
    "network is unreachable",
    "enotfound",
    "eai_again",
    "econnrefused",
    "etimedout",
    "connection refused",
    "connecttimeout",
    "dns error",
    "failed to fetch",
    "newconnectionerror",
    "error sending request",
)
SILENT_SECONDS = 1.5
STILL_RUNNING_SECONDS = 15
MAX_REASON_CHARACTERS = 200


class Steps:
    """Runs commands for named steps; threads may share it."""

    def __init__(self, log: Path, environment: Mapping[str, str]) -> None:
        """Args:
        log: file that takes the output of every command.
        environment: that of the commands.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")
        self._log = log
        self._environment = dict(environment)
        self._running: set[subprocess.Popen[str]] = set()
        self._is_stopping = False

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Print that `name` goes on, every few seconds, and what it took when it is done.

        A step that had nothing to do passes in silence.
        """
        started = time.monotonic()
        is_over = threading.Event()
        reporter = threading.Thread(target=_report, args=(name, started, is_over), daemon=True)
        reporter.start()
        try:
            yield
            seconds = time.monotonic() - started
            if seconds >= SILENT_SECONDS:
                _say(f"{name}: done in {seconds:.0f} s")
        finally:
            is_over.set()

    def run(self, command: Sequence[str]) -> None:
        """Run one command.

        Raises:
            SetupError: it failed; the sentence says why as far as its output tells.
        """
        if self._is_stopping:
            raise SetupError("The set-up was stopped.")
        process = subprocess.Popen(
            command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # npm starts programs that it does not stop: the whole group is.
            start_new_session=True,
        )
        self._running.add(process)
        try:
            if self._is_stopping:
                # `stop` came between the question above and the start.
                _terminate(process)
            output, _ = process.communicate()
        except BaseException:
            _terminate(process)
            raise
        finally:
            self._running.discard(process)
        with self._log.open("a") as log:
            log.write(f"$ {' '.join(command)}\n{output}\n")
        if process.returncode != 0:
            raise SetupError(failure_sentence(command, output, self._log))

    def stop(self) -> None:
        """End the commands that still run, because another one failed."""
        self._is_stopping = True
        for process in list(self._running):
            _terminate(process)


def failure_sentence(command: Sequence[str], output: str, log: Path) -> str:
    """Why `command` failed, in one sentence with the fix."""
    program = Path(command[0]).name
    if any(sign in output.lower() for sign in NETWORK_SIGNS):
        return (
            f"{program} could not reach its package registry: check the network and run it again."
        )
    if "no space left on device" in output.lower():
        return "The disk is full: free 3 GB, then repeat."
    return f"{program} failed ({failure_reason(output)}): the whole output is in {log}."


def failure_reason(output: str) -> str:
    """The line that most likely tells why: the first with an error, else the last."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors[:1] or lines[-1:] or ["it printed nothing"])[0][:MAX_REASON_CHARACTERS]


def _terminate(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)


def _report(name: str, started: float, is_over: threading.Event) -> None:
    if is_over.wait(SILENT_SECONDS):
        return
    _say(f"{name} ...")
    while not is_over.wait(STILL_RUNNING_SECONDS):
        _say(f"{name}: {time.monotonic() - started:.0f} s ...")


def _say(text: str) -> None:
    print(f"  {text}", flush=True)
