"""Replacing this process by another program, so that signals and pids belong to that program."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NoReturn

from deploy.local.errors import SetupError


def become(command: list[str], environment: Mapping[str, str] | None = None) -> NoReturn:
    """Run `command` instead of this program.

    Raises:
        SetupError: there is no such program.
    """
    try:
        os.execvpe(command[0], command, os.environ if environment is None else environment)  # noqa: S606 - no shell is wanted
    except FileNotFoundError:
        raise SetupError(f"There is no program {command[0]} here: run `make up`.") from None
