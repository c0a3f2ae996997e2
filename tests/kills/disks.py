"""A disk under Redis that can be filled."""

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from tests.running import RunningPlatform

# The stream of the experiment needs a third of it, and a rewrite of Redis's file another third.
DISK_SIZE: Final = "256m"
CHUNK_BYTES: Final = 256 * 1024
# Enough for the pid file of the supervisor, less than Redis's file has after its start.
LIMIT_BYTES: Final = 4096


class Disk(Protocol):
    """Where Redis writes.

    Attributes:
        kind: What it is, in words.
    """

    kind: str

    def fill(self, platform: RunningPlatform) -> None:
        """From now on no write of Redis succeeds."""

    def empty(self, platform: RunningPlatform) -> None:
        """There is space again."""


class SmallDisk:
    """A file system of its own, filled by a file beside Redis's."""

    kind = f"a file system of {DISK_SIZE} that is full"

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    def fill(self, _platform: RunningPlatform) -> None:
        """Take all the space that is left."""
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(CHUNK_BYTES)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def empty(self, _platform: RunningPlatform) -> None:
        """Give it back."""
        self._ballast.unlink()


class FileSizeLimit:
    """A limit on the size of Redis's files, where a file system cannot be mounted."""

    kind = "a limit on the size of files, because no file system can be mounted here"

    def __init__(self) -> None:
        self._limited: list[int] = []

    def fill(self, platform: RunningPlatform) -> None:
        """Limit Redis, and its supervisor from which later ones inherit."""
        pid = platform.pid("redis")
        self._limited = [platform.supervisor_pid("redis"), *([pid] if pid else [])]
        for limited in self._limited:
            _set_soft_limit(limited, LIMIT_BYTES)

    def empty(self, platform: RunningPlatform) -> None:
        """Lift the limit from those that are left."""
        pid = platform.pid("redis")
        supervisor = self._limited[0]
        for limited in (supervisor, *([pid] if pid else [])):
            _set_soft_limit(limited, resource.RLIM_INFINITY)


def _set_soft_limit(pid: int, size: int) -> None:
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


@contextmanager
def redis_disk(home: Path) -> Iterator[Disk]:
    """The disk of a platform that is started within the context, with its data in `home`."""
    folder = home / "redis"
    folder.mkdir(parents=True, mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE},mode=700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield FileSizeLimit()
        return
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)
