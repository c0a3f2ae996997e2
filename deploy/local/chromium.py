"""A Chromium for browser tests: the system's, or one unpacked from Debian packages on demand.

`python -m deploy.local.chromium` prints the path of its executable.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from deploy.local import debian
from deploy.local.bootstrap import program
from deploy.local.environment import ROOT
from deploy.local.errors import SetupError
from deploy.local.native import bind_to_folder, c_library_loader

FOLDER = ROOT / ".llmscope" / "chromium"
PACKAGES = ("chromium", "fonts-dejavu-core", "fonts-liberation")
# Data that the packages above need, without libraries in their names.
DATA_PACKAGES = ("chromium-common", "fontconfig-config", "xkb-data")
SYSTEM_NAMES = ("chromium", "chromium-browser", "google-chrome")
FONT_CONFIGURATION = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <dir>{folder}/usr/share/fonts</dir>
  <cachedir>{folder}/fontconfig-cache</cachedir>
  <include ignore_missing="yes">{folder}/usr/share/fontconfig/conf.avail</include>
</fontconfig>
"""
# libpulse names the absolute folder of its private part, which only this variable overrules.
LAUNCHER = """#!/bin/sh
export FONTCONFIG_FILE='{folder}/fonts.conf'
export LD_LIBRARY_PATH='{libraries}/pulseaudio'
exec '{folder}/usr/lib/chromium/chromium' "$@"
"""


def chromium_executable() -> Path:
    """A Chromium that runs on this machine; fetched (130 MB) if there is none.

    Raises:
        SetupError: apt or its network is missing.
    """
    found = next(filter(None, map(shutil.which, SYSTEM_NAMES)), None)
    if found is not None:
        return Path(found)
    launcher = FOLDER / "chromium"
    if not launcher.exists() or str(FOLDER) not in launcher.read_text():
        _fetch(FOLDER)
    return launcher


def _fetch(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    apt = debian.PrivateApt(folder / "apt")
    debian.unpack(apt.download(PACKAGES, DATA_PACKAGES), folder)
    shutil.rmtree(apt.folder)
    binaries = folder / "usr" / "lib" / "chromium"
    programs = [binaries / "chromium", binaries / "chrome_crashpad_handler"]
    bind_to_folder([path for path in programs if path.exists()], folder, program("patchelf"))
    (folder / "fonts.conf").write_text(FONT_CONFIGURATION.format(folder=folder))
    # The launcher comes last: it stands for a complete folder.
    launcher = folder / "chromium"
    launcher.touch(mode=0o755)
    libraries = c_library_loader(folder).parent
    launcher.write_text(LAUNCHER.format(folder=folder, libraries=libraries))


def main() -> int:
    """Print the path; 1 and one sentence if there is no Chromium to be had."""
    try:
        print(chromium_executable())
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
