"""npm packages that tests need, beside those of the reports."""

import fcntl
import subprocess
import sys
from pathlib import Path
from typing import Final

from deploy.local.bootstrap import STATE, content_hash, is_stamped

INSTALL_SECONDS: Final = 120.0
BUILD_SECONDS: Final = 60.0


def install_packages(folder: Path) -> None:
    """Install what `package-lock.json` locks where that, or the place, is another than last time.

    Raises:
        subprocess.CalledProcessError: the packages cannot be installed; its stderr says why.
    """
    stamp = folder / "node_modules" / "lock.stamp"
    state = STATE / "environments"
    state.mkdir(parents=True, exist_ok=True)
    with (state / f"{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        content = content_hash([folder / "package-lock.json"], str(folder))
        if is_stamped(stamp, content):
            return
        subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit"],
            cwd=folder, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS,
        )  # fmt: skip
        stamp.write_text(content)


def build_package(folder: Path) -> None:
    """Install what it is built with, and build it.

    Raises:
        subprocess.CalledProcessError: it cannot be built; its output says why.
    """
    install_packages(folder)
    subprocess.run(
        ["npm", "run", "--silent", "build"],
        cwd=folder, check=True, capture_output=True, text=True, timeout=BUILD_SECONDS,
    )  # fmt: skip


if __name__ == "__main__":
    install_packages(Path(sys.argv[1]).resolve())
