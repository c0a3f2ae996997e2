"""Running PostgreSQL, which refuses root, as an unprivileged user when root started LLMScope."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable
from pathlib import Path

SERVICE_USER = "nobody"
# Bits of the capability sets in /proc/self/status.
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2


def unprivileged_prefix(paths: Iterable[Path]) -> list[str]:
    """What to put before a command so that it does not run as root; nothing if we are not root.

    Args:
        paths: what the command must reach. Where a parent folder is closed to other users (a
            clone in /root, or in a folder made by mktemp), the command may enter folders as root
            does, and nothing else.
    """
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam(SERVICE_USER)
    prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    # The change of user clears what the supervisor had asked of the kernel.
    prefix.append("--pdeathsig=INT")
    if all(is_open_to_others(path) for path in paths):
        return [*prefix, "--"]
    capability = folder_capability(bounding_set(Path("/proc/self/status").read_text()))
    # Without the secure bit access(2), with which PostgreSQL looks for its programs, ignores it.
    prefix.append("--securebits=+no_setuid_fixup")
    return [*prefix, f"--inh-caps=-all,+{capability}", f"--ambient-caps=+{capability}", "--"]


def give_to_service_user(path: Path) -> None:
    """Let the unprivileged user own `path`; nothing if we are not root."""
    if os.geteuid() == 0:
        user = pwd.getpwnam(SERVICE_USER)
        os.chown(path, user.pw_uid, user.pw_gid)


def is_open_to_others(path: Path) -> bool:
    """Whether any user can pass through every parent folder of `path`."""
    parents = path.resolve().parents
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in parents)


def bounding_set(status: str) -> int:
    """The capabilities that a child may have, from the text of /proc/<pid>/status."""
    line = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    return int(line.split()[1], 16)


def folder_capability(bounding: int) -> str:
    """The weakest capability with which folders can be entered.

    Containers usually have only the stronger one in their bounding set.
    """
    return "dac_read_search" if bounding >> CAP_DAC_READ_SEARCH & 1 else "dac_override"
