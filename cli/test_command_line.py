"""What holds for all commands: documents, help, entry point, exit codes."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.app import app
from cli.conftest import RunCli
from deploy.local import bootstrap
from deploy.local.environment import ROOT

DOCUMENT = (ROOT / "docs" / "command-line.md").read_text()


def commands(command: Any, path: str = "llmscope") -> Iterator[tuple[str, Any]]:
    """Every command that can be run, with the words that run it."""
    nested = getattr(command, "commands", {})
    if not nested:
        yield path, command
    for name, child in nested.items():
        yield from commands(child, f"{path} {name}")


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_the_document_lists_every_command_and_no_other() -> None:
    assert set(re.findall(r"^\| `(llmscope [^`]*)` \|", DOCUMENT, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_every_command_says_what_it_does_and_what_its_options_are(
    path: str, run_cli: RunCli
) -> None:
    for parameter in COMMANDS[path].params:
        assert parameter.help or parameter.name == "help", parameter.name
    ended = run_cli(*path.split()[1:], "--help")
    assert ended.exit_code == 0
    assert ended.stdout.startswith(f"Usage: {path}")
    assert len(ended.stdout.splitlines()) > 4


def test_every_option_in_the_document_exists() -> None:
    options = {one for command in COMMANDS.values() for p in command.params for one in p.opts}
    assert set(re.findall(r"(?<=[ `])--[a-z-]+", DOCUMENT)) - {"--help"} <= options


def test_the_entry_point_works_from_a_folder_with_a_module_of_that_name(tmp_path: Path) -> None:
    bootstrap.install_command()
    (tmp_path / "cli.py").write_text("raise SystemExit('a stranger')")
    done = subprocess.run(
        [bootstrap.program("llmscope"), "status"], cwd=tmp_path, text=True, capture_output=True,
        env={"PATH": "/usr/bin:/bin", "LLMSCOPE_HOME": str(tmp_path)}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "LLMScope is not running in this clone: `make up` starts it.\n"


def test_a_wrong_command_line_is_told_apart(run_cli: RunCli) -> None:
    for arguments in (["nothing"], ["send"], ["send", "-", "--skip", "-1"], ["keys", "create"]):
        ended = run_cli(*arguments)
        assert ended.exit_code == 2
        assert "Error: " in ended.stderr
