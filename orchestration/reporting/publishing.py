"""Publish the site so that a reader never meets half of it.

`site` is a symbolic link to one release, a complete page shell with its data. Data files lie
under their digest and stay a day, and `data/manifest.json`, which names the ones in use, is
replaced in one step: a page that is open keeps reading the files it began with. A new shell becomes
a new release, and the link moves when it is complete.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.reporting.evidence import SiteFolders

FINGERPRINT = "fingerprint.txt"
MANIFEST = Path("data", "manifest.json")
# A page left open longer than this reloads its data after a reload of the page.
UNUSED_DATA_SECONDS = 24 * 3600.0
DIGEST_CHARACTERS = 20

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """What stands at `site`.

    Attributes:
        shell_fingerprint: Which page shell.
        marts_version: State of the marts that the data was read from.
        published_at: Seconds since 1970.
    """

    shell_fingerprint: str
    marts_version: str
    published_at: float


def read_shell_fingerprint(folders: SiteFolders) -> str | None:
    """Fingerprint of the shell that was built last; None before the first build."""
    return _read_or_none(folders.shell / FINGERPRINT)


def read_published(folders: SiteFolders) -> Published | None:
    """What is published now; None before the first publication."""
    shell = _read_or_none(folders.site / FINGERPRINT)
    manifest = _read_or_none(folders.site / MANIFEST)
    if shell is None or manifest is None:
        return None
    stamp = json.loads(manifest).get("llmscope", {})
    return Published(shell, stamp.get("marts_version", ""), stamp.get("published_at", 0.0))


def publish(folders: SiteFolders, marts_version: str, now: float) -> int:
    """Publish the shell and the data that were built last.

    Args:
        folders: Where both lie.
        marts_version: State of the marts at the moment before they were read.
        now: Seconds since 1970.

    Returns:
        Bytes of the data files in use.
    """
    release = _complete_release(folders)
    manifest = json.loads((folders.data / "manifest.json").read_text())
    used = list(_add_data(folders.data, release, manifest, now))
    manifest["llmscope"] = {"marts_version": marts_version, "published_at": now}
    _write_atomically(release / MANIFEST, json.dumps(manifest))
    _point_site_to(folders, release)
    _remove_unused_data(release, {path.resolve() for path in used}, now)
    _remove_old_releases(folders)
    return sum(path.stat().st_size for path in used)


def digest_url(url: str, digest: str) -> str:
    """`static/data/llmscope/calls/calls.parquet` with the digest before the file's name."""
    folder, name = url.rsplit("/", 1)
    return f"{folder}/{digest}/{name}"


def _complete_release(folders: SiteFolders) -> Path:
    """The release of the newest shell; made beside the others and renamed when complete."""
    fingerprint = (folders.shell / FINGERPRINT).read_text().strip()
    release = folders.releases / fingerprint
    if not release.exists():
        unfinished = folders.releases / f"{fingerprint}.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(folders.shell, unfinished)
        published_data = folders.site / "data"
        if published_data.exists():
            shutil.copytree(published_data, unfinished / "data")
        unfinished.rename(release)
    return release


def _add_data(data: Path, release: Path, manifest: Manifest, now: float) -> Iterator[Path]:
    """Copy each file to its digest, rewrite its URL in `manifest`, and give its place."""
    for source, urls in manifest["renderedFiles"].items():
        for index, url in enumerate(urls):
            content = (data / source / Path(url).stem / Path(url).name).read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:DIGEST_CHARACTERS]
            urls[index] = digest_url(url, digest)
            target = release / urls[index].removeprefix("static/")
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                _write_atomically(target, content)
            os.utime(target, (now, now))
            yield target


def _point_site_to(folders: SiteFolders, release: Path) -> None:
    target = Path(folders.releases.name, release.name)
    if folders.site.is_symlink() and folders.site.readlink() == target:
        return
    new_link = folders.state / "site.new"
    new_link.unlink(missing_ok=True)
    new_link.symlink_to(target)
    new_link.replace(folders.site)


def _remove_unused_data(release: Path, used: set[Path], now: float) -> None:
    for path in release.glob("data/*/*/*/*.parquet"):
        if path.resolve() not in used and path.stat().st_mtime < now - UNUSED_DATA_SECONDS:
            path.unlink()
            path.parent.rmdir()


def _remove_old_releases(folders: SiteFolders) -> None:
    """Keep the published release and the one before: a response may still be read from it."""
    published = folders.site.resolve()
    others = [path for path in folders.releases.iterdir() if path != published]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[1:]:
        shutil.rmtree(path)


def _write_atomically(path: Path, content: str | bytes) -> None:
    unfinished = path.with_name(f".{path.name}.{time.monotonic_ns()}")
    unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
    unfinished.replace(path)


def _read_or_none(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return None
