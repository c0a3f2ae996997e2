"""What is started, and what stands in the way."""

import io
import os
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from honcho.environ import parse_procfile
from honcho.printer import Message

from deploy.local import commands, health, ready, runner, supervise
from deploy.local.environment import PORT_OFFSETS, ROOT, Platform
from deploy.local.errors import SetupError

PROCESSES = parse_procfile(runner.PROCFILE.read_text()).processes


def test_every_process_has_a_health_check() -> None:
    assert set(PROCESSES) == set(health.CHECKS)


def test_every_process_but_the_daemon_has_a_port() -> None:
    assert set(PORT_OFFSETS) == set(PROCESSES) - {"daemon"}


@pytest.mark.parametrize(
    ("platform", "only", "expected"),
    [
        (Platform(Path("/h")), [], set(PROCESSES)),
        (Platform(Path("/h")), ["redis"], {"redis"}),
        (Platform(Path("/h"), redis_url="redis://h"), [], set(PROCESSES) - {"redis"}),
        (Platform(Path("/h"), database_url="postgresql://h/d"), ["postgres", "api"], {"api"}),
    ],
)
def test_the_selection_leaves_out_what_runs_elsewhere(
    platform: Platform, only: list[str], expected: set[str]
) -> None:
    assert set(runner.selected_processes(PROCESSES, platform, only)) == expected


def test_an_unknown_process_is_named() -> None:
    with pytest.raises(SetupError, match="no process web"):
        runner.selected_processes(PROCESSES, Platform(Path("/h")), ["web"])


def test_a_busy_port_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        platform = Platform(Path("/h"), port_base=taken.getsockname()[1])
        with pytest.raises(SetupError, match=r"Port \d+ \(api\).*LLMSCOPE_PORT_BASE=8500 make up"):
            runner.require_free_ports(platform, ["daemon", "api"])


def test_a_second_runner_of_the_same_home_is_refused(tmp_path: Path) -> None:
    platform = Platform(tmp_path)
    assert runner.runner_pid(platform) is None
    with runner.sole_runner(platform):
        assert runner.runner_pid(platform) is not None
        with pytest.raises(SetupError, match="already running"), runner.sole_runner(platform):
            pass
    assert runner.runner_pid(platform) is None


def test_reset_refuses_without_a_terminal_or_a_confirmation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
    with pytest.raises(SetupError, match="CONFIRM=yes"):
        commands.reset(Platform(tmp_path), is_confirmed=False)


def test_reset_deletes_the_data_and_keeps_the_programs(tmp_path: Path) -> None:
    for name in ("postgres", "redis", "native", "logs"):
        (tmp_path / name).mkdir()
    (tmp_path / "api_key").write_text("k")
    assert commands.reset(Platform(tmp_path), is_confirmed=True) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "native"]


def test_the_terminal_shows_supervisors_and_the_files_show_all(tmp_path: Path) -> None:
    output = io.StringIO()
    printer = runner.LogPrinter(tmp_path, output, is_verbose=False)
    for text in (b"a request\n", f"{supervise.PREFIX}api ended with code 1\n".encode()):
        printer.write(Message("line", text, datetime.now(UTC), "api", None))
    assert output.getvalue() == "  api ended with code 1\n"
    assert (tmp_path / "api.log").read_text().startswith("a request\nsupervise: api ended")


@pytest.mark.parametrize(
    ("previous", "ran_seconds", "expected"),
    [(0, 1, 1), (1, 1, 2), (2, 1, 4), (16, 1, 30), (30, 1, 30), (30, 600, 1)],
)
def test_restarts_back_off_until_a_stable_run(
    previous: float, ran_seconds: float, expected: float
) -> None:
    assert supervise.next_backoff_seconds(previous, ran_seconds) == expected


def test_a_supervised_command_starts_again_and_stops_with_its_supervisor(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    pid_file = tmp_path / "run" / "sleeper.pid"
    environment = {"LLMSCOPE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    environment["LLMSCOPE_RUNNER_PID"] = str(os.getpid())
    command = [sys.executable, "-m", "deploy.local.supervise", "sleeper", "sleep", "600"]
    supervisor = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    first = _new_pid(pid_file, other_than=0)
    os.kill(first, signal.SIGKILL)
    second = _new_pid(pid_file, other_than=first)
    supervisor.terminate()
    output, _ = supervisor.communicate(timeout=10)
    assert output == "supervise: sleeper was killed by SIGKILL; it starts again in 1 s\n"
    assert supervisor.returncode == 0
    assert not supervise.is_alive(second)
    assert not pid_file.exists()


def _new_pid(pid_file: Path, other_than: int) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        text = pid_file.read_text().strip() if pid_file.exists() else ""
        if text and int(text) != other_than:
            return int(text)
        time.sleep(0.05)
    raise AssertionError("the command did not start")


def test_waiting_ends_at_the_deadline() -> None:
    clock = iter([0.0, 1.0, 2.0, 3.0])
    naps: list[float] = []
    is_up = health.wait_until_healthy("api", lambda _: False, 2.0, lambda: next(clock), naps.append)
    assert not is_up
    assert len(naps) == 2


def test_the_ready_block_names_every_address() -> None:
    text = ready.ready_block(Platform(Path("/h"), port_base=9000), list(PROCESSES), 12.3)
    for expected in ("127.0.0.1:9000/docs", ":9000/reports/", ":9001", "make psql", "/h/api_key"):
        assert expected in text


def test_a_process_that_stays_down_is_shown_with_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("\n".join(f"line {number}" for number in range(9)))
    text = ready.not_ready_text("api", log)
    assert "line 8" in text
    assert "line 3" not in text
