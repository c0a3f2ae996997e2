"""A step of the build succeeds, or says why not and leaves no process behind."""

import os
import sys
import time
from pathlib import Path

import pytest

from orchestration.reporting.processes import Finished, ReportBuildError, run_step


def run(script: str, folder: Path, timeout_seconds: float = 20.0) -> Finished:
    command = (sys.executable, "-c", script)
    return run_step(command, folder=folder, environment=os.environ, timeout_seconds=timeout_seconds)


def test_a_step_gives_its_output(tmp_path: Path) -> None:
    assert run("print('wrote 3 rows')", tmp_path).output == "wrote 3 rows\n"


def test_a_step_that_ends_with_an_error_tells_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(ReportBuildError, match=r"(?s)ended with 3.*no such table"):
        run("print('no such table'); raise SystemExit(3)", tmp_path)


def test_a_step_that_prints_a_failed_query_failed(tmp_path: Path) -> None:
    with pytest.raises(ReportBuildError, match="Error in Query"):
        run("print('Error in Query: calls')", tmp_path)


def test_a_missing_program_is_named_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(ReportBuildError, match="no-such-node is missing: run `make setup`"):
        run_step(("no-such-node",), folder=tmp_path, environment={}, timeout_seconds=1.0)


def test_a_step_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    child = "import os, time; open('child', 'w').write(str(os.getpid())); time.sleep(60)"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with pytest.raises(ReportBuildError, match="took over 2 s"):
        run(script, tmp_path, timeout_seconds=2.0)
    assert has_ended(int((tmp_path / "child").read_text()))


def has_ended(process_id: int) -> bool:
    """Whether the process is gone or a zombie that its new parent has not collected yet."""
    for _ in range(50):
        stat = Path(f"/proc/{process_id}/stat")
        if not stat.exists() or stat.read_text().rsplit(") ", 1)[1].startswith("Z"):
            return True
        time.sleep(0.1)
    return False
