"""Keep one command of the Procfile running: honcho alone stops everything when one process ends.

`python -m deploy.local.supervise [--last] [--stop-signal NAME] PROCESS COMMAND...`
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# What this program says in the log of its process; the runner shows these lines on the terminal.
PREFIX = "supervise: "
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
WATCHED_SIGNALS = {*STOP_SIGNALS, signal.SIGCHLD}
MAX_BACKOFF_SECONDS = 30.0
# After a run of this length the backoff begins anew.
STABLE_SECONDS = 60.0
RUNNER_POLL_SECONDS = 5.0
# The daemon finishes the batch in hand, PostgreSQL writes its checkpoint.
STOP_GRACE_SECONDS = 25.0
# Longer than the grace of the others, of whom some may need PostgreSQL to finish.
LAST_GRACE_SECONDS = 28.0


def next_backoff_seconds(previous: float, ran_seconds: float) -> float:
    """How long to wait before the next start: 1, 2, 4 ... s, anew after a stable run."""
    if ran_seconds >= STABLE_SECONDS or previous == 0:
        return 1.0
    return min(previous * 2, MAX_BACKOFF_SECONDS)


class Supervisor:
    """Runs a command again and again until it is told to stop, or its runner is gone."""

    def __init__(self, process: str, command: list[str], run_folder: Path, runner: int) -> None:
        """Args:
        process: name of the process; its pid is kept in `run_folder` as PROCESS.pid.
        command: what to run.
        run_folder: where the pid files of all processes lie.
        runner: pid of the runner; without it nothing must be left running.
        """
        self._process = process
        # The kernel ends the command if this program is killed and cannot do it.
        self._command = ["setpriv", "--pdeathsig", "TERM", "--", *command]
        self._pid_file = run_folder / f"{process}.pid"
        self._runner = runner
        self._is_stopping = False

    def run(self) -> subprocess.Popen[bytes]:
        """Keep the command running; give the last child, which may still run, when told to stop."""
        backoff = 0.0
        while True:
            started = time.monotonic()
            child = self._start()
            self._wait_for(child)
            if self._is_stopping:
                return child
            _kill_group(child.pid)
            backoff = next_backoff_seconds(backoff, time.monotonic() - started)
            self._say(f"{_ending(child.returncode)}; it starts again in {backoff:.0f} s")
            self._pause(backoff)
            if self._is_stopping:
                return child

    def stop(self, child: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
        """End the child, by force after a grace, and whatever it started."""
        if child.poll() is None:
            child.send_signal(stop_signal)
        try:
            child.wait(timeout=STOP_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._say(f"did not stop within {STOP_GRACE_SECONDS:.0f} s; it is killed")
        _kill_group(child.pid)
        child.wait()
        self._pid_file.unlink(missing_ok=True)

    def wait_for_others(self) -> None:
        """Wait until no process but the likes of this one is left, so that they end in peace."""
        deadline = time.monotonic() + LAST_GRACE_SECONDS
        while self._others() and time.monotonic() < deadline:
            time.sleep(0.1)

    def _others(self) -> list[Path]:
        pid_files = self._pid_file.parent.glob("*.pid")
        return [path for path in pid_files if path.stem not in {"postgres", "redis"}]

    def _start(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            self._command,
            process_group=0,
            preexec_fn=_heed_signals,  # noqa: PLW1509 - there are no threads here
        )
        self._pid_file.write_text(f"{child.pid}\n")
        return child

    def _wait_for(self, child: subprocess.Popen[bytes]) -> None:
        while child.poll() is None and not self._is_stopping:
            self._watch(RUNNER_POLL_SECONDS)

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._is_stopping:
            self._watch(min(left, RUNNER_POLL_SECONDS))

    def _watch(self, seconds: float) -> None:
        """Wait for a signal, and note whether it is time to stop."""
        got = signal.sigtimedwait(WATCHED_SIGNALS, seconds)
        is_told = got is not None and got.si_signo in STOP_SIGNALS
        self._is_stopping = is_told or not is_alive(self._runner)

    def _say(self, text: str) -> None:
        print(f"{PREFIX}{self._process} {text}", flush=True)


def is_alive(pid: int) -> bool:
    """Whether a process with this pid exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _ending(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with code {code}"


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _heed_signals() -> None:
    # A shell ignores it for what it runs in the background, and Dagster takes over for SIGTERM what
    # holds for SIGINT.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def main(arguments: list[str]) -> int:
    """Supervise one process of the platform in the environment."""
    parser = argparse.ArgumentParser(prog="deploy.local.supervise")
    parser.add_argument("--last", action="store_true", help="stop after the other processes")
    parser.add_argument("--stop-signal", default="SIGTERM")
    parser.add_argument("process")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED_SIGNALS)
    run_folder = Path(os.environ["LLMSCOPE_HOME"]) / "run"
    runner = int(os.environ["LLMSCOPE_RUNNER_PID"])
    supervisor = Supervisor(options.process, options.command, run_folder, runner)
    child = supervisor.run()
    if options.last:
        supervisor.wait_for_others()
    supervisor.stop(child, signal.Signals[options.stop_signal])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
