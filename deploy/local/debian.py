"""Packages of Debian trixie, unpacked into a folder without root and without touching the system.

apt itself finds the mirror, resolves, downloads and verifies, with a state folder of its own.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.local.errors import SetupError

SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
INDEX_FORMAT = "$(COMPONENT) $(ORIGIN) $(RELEASE) $(SITE)"
OWN_SERVICES_HINT = "set DATABASE_URL and REDIS_URL to services of your own"


def debian_mirror(index_targets: str, is_debian: bool) -> str | None:
    """The mirror among the lines `apt-get indextargets --format INDEX_FORMAT` printed.

    apt knows the origin only after an `apt-get update`; before that a Debian machine's own
    sources are taken for Debian. The security archive does not carry the release.
    """
    for line in index_targets.splitlines():
        match = re.fullmatch(r"main (\S*) (\S+) (\S+)", line.strip("\n"))
        if match is None:
            continue
        origin, release, site = match.groups()
        known = origin == "Debian" or (not origin and is_debian)
        if known and "security" not in f"{release} {site}":
            return site
    return None


def package_names(print_uris: str) -> list[str]:
    """Names of the packages in the output of `apt-get --print-uris install`."""
    return re.findall(r"^'\S+' ([^_\s]+)_\S+\.deb ", print_uris, flags=re.MULTILINE)


def is_library(name: str) -> bool:
    """Whether a dependency is a shared library, not a program or a Perl module.

    libllvm and libz3 serve only PostgreSQL's JIT, which is off, and are half of the download.
    """
    if name.endswith("-perl") or name.startswith(("libperl", "libllvm", "libz3")):
        return False
    return name.startswith("lib") or name == "zlib1g"


class PrivateApt:
    """apt with its own state in `folder`; it reads only the machine's mirror and proxy settings."""

    def __init__(self, folder: Path) -> None:
        """Make `folder` ready.

        Raises:
            SetupError: the machine has no apt, no Debian keyring or no Debian mirror.
        """
        self.folder = folder.resolve()
        self.archives = self.folder / "archives"
        require_apt()
        mirror = os.environ.get("LLMSCOPE_DEBIAN_MIRROR") or machine_mirror()
        for part in ("state/lists/partial", "cache", "archives/partial"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        source = f"deb [signed-by={KEYRING}] {mirror} {SUITE} main\n"
        (self.folder / "sources.list").write_text(source)

    def download(self, names: Sequence[str], extra: Iterable[str] = ()) -> list[Path]:
        """Fetch `names`, the libraries that they need, and those in `extra`, as .deb files."""
        self._run("update")
        planned = self._run("install", "--no-install-recommends", "--print-uris", *names)
        wanted = {*names, *extra, *filter(is_library, package_names(planned))}
        self._run("download", *sorted(wanted))
        return sorted(self.archives.glob("*.deb"))

    def _run(self, *arguments: str) -> str:
        command = ["apt-get", "-qq", "-y", *self._options(), *arguments]
        # A C locale, because the messages are matched and shown.
        environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(
            command, cwd=self.archives, env=environment, capture_output=True, text=True, check=False
        )
        failed = done.returncode != 0 or "Failed to fetch" in done.stderr
        if failed:
            reason = (done.stderr.strip().splitlines() or ["no message"])[0]
            raise SetupError(
                f"apt could not fetch Debian {SUITE} packages ({reason}): "
                f"check the network, or {OWN_SERVICES_HINT}."
            )
        return done.stdout

    def _options(self) -> list[str]:
        settings = {
            "Dir::State": self.folder / "state",
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder / "cache",
            "Dir::Cache::archives": self.archives,
            "Dir::Etc::sourcelist": self.folder / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            # As root apt would change to a user that cannot enter a private folder.
            "APT::Sandbox::User": "root",
            "APT::Default-Release": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
        }
        return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]


def require_apt() -> None:
    """Raise SetupError where Debian packages cannot be fetched and verified."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise SetupError(
            "This system has no apt, so LLMScope cannot bring its own services: "
            f"{OWN_SERVICES_HINT}."
        )
    if not KEYRING.exists():
        raise SetupError(
            "The keys that sign Debian packages are missing: "
            f"run `apt-get install debian-archive-keyring`, or {OWN_SERVICES_HINT}."
        )


def machine_mirror() -> str:
    """The Debian mirror that this machine's own apt uses."""
    command = ["apt-get", "indextargets", "--format", INDEX_FORMAT, "Identifier: Packages"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    mirror = debian_mirror(done.stdout, is_debian=os_release_id() == "debian")
    if mirror is None:
        raise SetupError(
            "This machine's apt knows no Debian mirror: "
            f"set LLMSCOPE_DEBIAN_MIRROR to the address of one, or {OWN_SERVICES_HINT}."
        )
    return mirror


def os_release_id() -> str:
    """`debian`, `ubuntu` ... or an empty string where the system does not say."""
    try:
        return platform.freedesktop_os_release()["ID"]
    except OSError:
        return ""


def unpack(packages: Iterable[Path], folder: Path) -> None:
    """Unpack .deb files over each other into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda package: _unpack_one(package, folder), packages))


def _unpack_one(package: Path, folder: Path) -> None:
    subprocess.run(["dpkg-deb", "-x", package, folder], check=True, capture_output=True)
