"""Start a command once the processes that it needs are healthy.

`python -m deploy.local.after postgres redis -- COMMAND` waits and then becomes COMMAND. A COMMAND
`MODULE:FUNCTION ARGUMENTS` is a Python program that is imported while waiting: Dagster's take 4 to
5 s for that, a third of the time until the platform is ready.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import time
from collections.abc import Callable

from deploy.local.becoming import become
from deploy.local.health import is_healthy, wait_until_healthy

DEADLINE_SECONDS = 180


def imported_function(name: str) -> Callable[[], object] | None:
    """The function that `MODULE:FUNCTION` names; None for the name of a program."""
    module, colon, function = name.partition(":")
    return getattr(importlib.import_module(module), function) if colon else None


def start(command: list[str], function: Callable[[], object] | None) -> int:
    """Become `command`, or call `function` with its arguments."""
    if function is None:
        return become(command)
    sys.argv = command
    function()
    return 0


def main(arguments: list[str]) -> int:
    """Wait, then start; 1 if a process did not come up in time."""
    separator = arguments.index("--")
    needed, command = arguments[:separator], arguments[separator + 1 :]
    function = imported_function(command[0])
    is_up = functools.partial(is_healthy, environment=os.environ)
    deadline = time.monotonic() + DEADLINE_SECONDS
    for process in needed:
        if not wait_until_healthy(process, is_up, deadline):
            print(f"{process} did not become healthy within {DEADLINE_SECONDS} s", flush=True)
            return 1
    return start(command, function)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
