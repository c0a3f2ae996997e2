"""Where the dbt project, its target and its manifest are; makes the manifest.

`python -m orchestration.transforming.project` prepares the manifest before the code server starts.
"""

import os
import subprocess
import sys
from pathlib import Path

from orchestration.transforming.dbt_args import dbt_environment
from orchestration.transforming.run_dbt import DBT_PROJECT

SOURCE_SUFFIXES = {".sql", ".yml", ".md", ".csv"}


class DbtParseError(RuntimeError):
    """dbt cannot read the project; the message is dbt's own output."""


def target_path(home: Path) -> Path:
    """dbt's one target folder: builds never overlap, and partial parsing stays warm in it."""
    return home.resolve() / "dbt"


def prepare_manifest(home: Path) -> Path:
    """The path of an up-to-date manifest; dbt parses the project if that is newer.

    Raises:
        DbtParseError: the project does not parse.
    """
    manifest = target_path(home) / "manifest.json"
    if not manifest.exists() or manifest.stat().st_mtime < _newest_source_mtime():
        _parse(target_path(home))
    return manifest


def _newest_source_mtime() -> float:
    files = (path for path in DBT_PROJECT.rglob("*") if path.suffix in SOURCE_SUFFIXES)
    return max(path.stat().st_mtime for path in files)


def _parse(target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    folders = {"DBT_TARGET_PATH": str(target), "DBT_LOG_PATH": str(target)}
    script = Path(__file__).with_name("run_dbt.py")
    done = subprocess.run(
        [sys.executable, str(script), "--quiet", "parse"],
        env={**dbt_environment(os.environ), **folders},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DbtParseError(done.stdout + done.stderr)


if __name__ == "__main__":
    from orchestration.settings import read_settings

    prepare_manifest(read_settings().home)
