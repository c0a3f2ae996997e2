"""Run a command with a time limit, and leave nothing of it behind."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestration.reporting.evidence import failed_lines, plain_text

OUTPUT_TAIL_LINES = 15


class ReportBuildError(RuntimeError):
    """A step of the report build failed; the message carries the end of its output."""


@dataclass(frozen=True)
class Finished:
    """A command that succeeded: its output and how long it took."""

    output: str
    seconds: float


def run_step(
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    timeout_seconds: float,
) -> Finished:
    """Run one step to its end.

    Raises:
        ReportBuildError: It could not start, took too long, ended with an error or printed one.
    """
    started = time.monotonic()
    process = _start(command, folder, environment)
    try:
        output = process.communicate(timeout=timeout_seconds)[0]
    except subprocess.TimeoutExpired:
        raise ReportBuildError(f"{command} took over {timeout_seconds:.0f} s") from None
    finally:
        _end_group(process)
    if process.returncode != 0 or failed_lines(output):
        raise ReportBuildError(failure_message(command, process.returncode, output))
    return Finished(output=output, seconds=time.monotonic() - started)


def failure_message(command: Sequence[str], code: int, output: str) -> str:
    """One message with the exit code and the last lines, free of empty ones."""
    lines = [line for line in plain_text(output).splitlines() if line.strip()]
    return "\n".join([f"{' '.join(command)} ended with {code}:", *lines[-OUTPUT_TAIL_LINES:]])


def _start(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise ReportBuildError(f"{error.filename} is missing: run `make setup`") from error


def _end_group(process: subprocess.Popen[str]) -> None:
    """Node starts children of its own, so the whole group ends, also when the run is cancelled."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
