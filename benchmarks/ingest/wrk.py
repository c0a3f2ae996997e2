"""wrk, a load generator in C, from Debian's package in a folder of the clone."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from deploy.local import debian
from deploy.local.bootstrap import program
from deploy.local.environment import ROOT
from deploy.local.native import bind_to_folder

FOLDER: Final = ROOT / ".llmscope" / "wrk"
SCRIPT: Final = Path(__file__).with_name("bodies.lua")


class WrkResult(NamedTuple):
    """What one run of wrk saw.

    Attributes:
        failures: Answers other than 202, and broken connections.
    """

    requests: int
    seconds: float
    failures: int

    @property
    def requests_per_second(self) -> float:
        """Mean over the run."""
        return self.requests / self.seconds


def install() -> Path:
    """The program, fetched at the first use; 3 MB.

    Raises:
        SetupError: apt or its network is missing.
    """
    wrk = FOLDER / "usr/bin/wrk"
    stamp = FOLDER / "complete"
    if not stamp.exists():
        apt = debian.PrivateApt(FOLDER / "apt")
        debian.unpack(apt.download(["wrk"]), FOLDER)
        bind_to_folder([wrk], FOLDER, program("patchelf"))
        stamp.touch()
    return wrk


def write_bodies(bodies: Sequence[bytes], path: Path) -> None:
    """The bodies as the Lua script reads them: one a line."""
    path.write_bytes(b"".join(body + b"\n" for body in bodies))


def run(url: str, key: str, bodies: Path, connections: int, seconds: int) -> WrkResult:
    """Send the bodies in turn, as fast as the answers come.

    Raises:
        CalledProcessError: wrk failed.
    """
    command = [
        str(install()), "--threads", "1", "--connections", str(connections),
        "--duration", f"{seconds}s", "--script", str(SCRIPT), url,
    ]  # fmt: skip
    environment = {"BODIES": str(bodies), "API_KEY": key}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return WrkResult(found["requests"], found["microseconds"] / 1e6, found["failures"])
