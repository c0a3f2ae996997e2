"""Python environments apart from the platform's, whose pins must not meet ours."""

import fcntl
import subprocess
import sys
from pathlib import Path
from typing import Final

from deploy.local.bootstrap import REQUIREMENTS, STATE, content_hash, is_stamped, program

INSTALL_SECONDS: Final = 100.0


def side_environment(name: str) -> Path:
    """The Python of the environment that `requirements/<name>.txt` locks.

    It is made where the lock or this Python is another than last time.

    Raises:
        subprocess.CalledProcessError: the packages cannot be installed; its stderr says why.
    """
    lock, home = REQUIREMENTS / f"{name}.txt", STATE / "environments" / name
    home.parent.mkdir(parents=True, exist_ok=True)
    python, stamp = home / "bin" / "python", home / "lock.stamp"
    with home.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        content = content_hash([lock], sys.version, str(home))
        if not is_stamped(stamp, content):
            _uv("venv", "--clear", "--python", sys.executable, str(home))
            _uv("pip", "install", "--python", str(python), "--require-hashes", "-r", str(lock))
            stamp.write_text(content)
    return python


def _uv(*arguments: str) -> None:
    command = [program("uv"), *arguments, "--quiet"]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)


if __name__ == "__main__":
    print(side_environment(sys.argv[1]))
