"""The Python environment of the instrumentations, apart from the platform's: their pins and ours
must not meet."""

import fcntl
import subprocess
import sys
from pathlib import Path
from typing import Final

from deploy.local.bootstrap import REQUIREMENTS, STATE, content_hash, is_stamped, program

LOCK: Final = REQUIREMENTS / "instrumentations.txt"
HOME: Final = STATE / "environments" / "instrumentations"
INSTALL_SECONDS: Final = 100.0


def instrumentations_python() -> Path:
    """The environment's Python; makes it where the lock or this Python is another than last time.

    Raises:
        subprocess.CalledProcessError: the packages cannot be installed; its stderr says why.
    """
    HOME.parent.mkdir(parents=True, exist_ok=True)
    python, stamp = HOME / "bin" / "python", HOME / "lock.stamp"
    with HOME.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        content = content_hash([LOCK], sys.version, str(HOME))
        if not is_stamped(stamp, content):
            _uv("venv", "--clear", "--python", sys.executable, str(HOME))
            _uv("pip", "install", "--python", str(python), "--require-hashes", "-r", str(LOCK))
            stamp.write_text(content)
    return python


def _uv(*arguments: str) -> None:
    command = [program("uv"), *arguments, "--quiet"]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
