"""What a machine that is not ready is told, and when work is repeated."""

from pathlib import Path

import pytest

from deploy.local import bootstrap
from deploy.local.errors import SetupError
from deploy.local.steps import Steps, failure_sentence


@pytest.mark.parametrize(
    ("version", "has_venv", "expected"),
    [
        ((3, 11), True, None),
        ((3, 13), True, None),
        ((3, 10), True, "python3 is 3.10"),
        ((3, 14), True, "python3 is 3.14"),
        ((3, 12), False, "apt-get install python3-venv"),
    ],
)
def test_an_unfit_python_is_told_what_to_install(
    version: tuple[int, int], has_venv: bool, expected: str | None
) -> None:
    problem = bootstrap.python_problem(version, has_venv)
    assert problem == expected or (expected is not None and expected in str(problem))


@pytest.mark.parametrize(
    ("version", "has_npm", "expected"),
    [
        ("v20.1.0", True, None),
        ("v24.0.0", True, None),
        ("v18.19.0", True, "Node.js is v18.19.0"),
        (None, False, "Node.js is missing"),
        ("v20.1.0", False, "npm is missing"),
    ],
)
def test_an_unfit_node_is_told_what_to_install(
    version: str | None, has_npm: bool, expected: str | None
) -> None:
    problem = bootstrap.node_problem(version, has_npm)
    assert problem == expected or (expected is not None and expected in str(problem))


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("error: Could not resolve host", "check the network"),
        ("npm error code ENOTFOUND", "check the network"),
        ("write: No space left on device", "The disk is full"),
        ("fine\nTypeError: no\nsee the log", "npm failed (TypeError: no)"),
        ("", "it printed nothing"),
    ],
)
def test_a_failed_command_becomes_one_sentence(output: str, expected: str) -> None:
    sentence = failure_sentence(["/usr/bin/npm", "ci"], output, Path("setup.log"))
    assert expected in sentence
    assert "\n" not in sentence


def test_a_failed_command_leaves_its_output_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "setup.log"
    with pytest.raises(SetupError, match="sh failed"):
        Steps(log, {"PATH": "/usr/bin:/bin"}).run(["sh", "-c", "echo broken pipe fitting; exit 3"])
    assert "broken pipe fitting" in log.read_text()


def test_the_first_failure_stops_the_work_beside_it(tmp_path: Path) -> None:
    steps = Steps(tmp_path / "setup.log", {"PATH": "/usr/bin:/bin"})
    work = [lambda: steps.run(["sleep", "60"]), lambda: steps.run(["sh", "-c", "sleep 0.3; false"])]
    with pytest.raises(SetupError, match="sh failed"):
        bootstrap.side_by_side(work, steps)


def test_a_changed_lock_or_interpreter_is_noticed(tmp_path: Path) -> None:
    lock = tmp_path / "runtime.txt"
    lock.write_text("a==1")
    first = bootstrap.content_hash([lock], "3.11.7")
    assert bootstrap.content_hash([lock], "3.11.8") != first
    lock.write_text("a==2")
    assert bootstrap.content_hash([lock], "3.11.7") != first
