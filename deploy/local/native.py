"""PostgreSQL 17 with TimescaleDB and Redis 8 in a folder of the clone.

The binaries get the interpreter and the library path of that same folder, so that they run on a
system with an older C library; a copied or moved folder is made anew.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.local import debian

PACKAGES = ("postgresql-17", "postgresql-17-timescaledb", "redis-server")
# Programs that the packages above need: psql, and the real redis-server binary.
PROGRAM_PACKAGES = ("postgresql-client-17", "redis-tools")
POSTGRES_BINARIES = "usr/lib/postgresql/17/bin"


@dataclass(frozen=True)
class NativeServices:
    """Where the unpacked programs lie."""

    folder: Path

    @property
    def postgres_bin(self) -> Path:
        """Folder of postgres, initdb and psql."""
        return self.folder / POSTGRES_BINARIES

    @property
    def redis_bin(self) -> Path:
        """Folder of redis-server and redis-cli."""
        return self.folder / "usr/bin"

    @property
    def is_complete(self) -> bool:
        """Whether the folder was made here, completely, by this version of the package list."""
        stamp = self._stamp
        return stamp.exists() and stamp.read_text() == self._expected_stamp()

    def download(self) -> None:
        """Fetch and unpack the packages; about 42 MB.

        Raises:
            SetupError: apt or its network is missing.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        apt = debian.PrivateApt(self.folder / "apt")
        packages = apt.download(PACKAGES, PROGRAM_PACKAGES)
        debian.unpack(packages, self.folder)
        shutil.rmtree(apt.folder)

    def patch(self, patchelf: str) -> None:
        """Make the programs use the libraries of this folder, and mark the folder complete."""
        bind_to_folder(self._programs(), self.folder, patchelf)
        self._stamp.write_text(self._expected_stamp())

    @property
    def _stamp(self) -> Path:
        return self.folder / "complete"

    def _expected_stamp(self) -> str:
        return f"{debian.SUITE} {' '.join(PACKAGES)} in {self.folder.resolve()}\n"

    def _programs(self) -> list[Path]:
        postgres = [self.postgres_bin / name for name in ("postgres", "initdb", "psql")]
        return [*postgres, *self.redis_bin.glob("redis-*")]


def bind_to_folder(programs: list[Path], folder: Path, patchelf: str) -> None:
    """Set interpreter and RPATH of `programs` to the C library and libraries under `folder`.

    RPATH, not RUNPATH: it also holds for the libraries that those libraries load.
    """
    folder = folder.resolve()
    loader = c_library_loader(folder)
    libraries = str(loader.parent)
    settings = ["--set-interpreter", str(loader), "--force-rpath", "--set-rpath", libraries]
    files = sorted({str(program.resolve()) for program in programs})
    subprocess.run([patchelf, *settings, *files], check=True, capture_output=True)


def c_library_loader(folder: Path) -> Path:
    """The dynamic loader among unpacked packages, on any architecture."""
    return next(folder.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*"))
