"""Running without root, wherever the clone lies."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.local.privileges import (
    bounding_set,
    folder_capability,
    is_open_to_others,
    unprivileged_prefix,
)

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("CapBnd:\t000001ffffffffff", "dac_read_search"),
        ("CapBnd:\t00000000a80425fb", "dac_override"),  # a container's default
    ],
)
def test_the_weakest_capability_at_hand_is_chosen(line: str, expected: str) -> None:
    assert folder_capability(bounding_set(f"Name:\tpython\n{line}\n")) == expected


def test_a_private_parent_folder_is_noticed(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    assert not is_open_to_others(private / "postgres")


@AS_ROOT
def test_a_program_in_a_private_folder_runs_without_root(tmp_path: Path) -> None:
    folder = tmp_path / "clone"
    folder.mkdir(mode=0o700)
    script = folder / "whoami"
    script.write_text('#!/bin/sh\ntest -x "$0" && id -un\n')
    script.chmod(0o755)
    command = [*unprivileged_prefix([script]), str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "nobody"
