"""The native PostgreSQL: making its data folder, and becoming its server.

`python -m deploy.local.postgres` replaces itself by the server of the platform in the environment.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from deploy.local.becoming import become
from deploy.local.environment import ROOT, Platform, platform_from
from deploy.local.errors import SetupError
from deploy.local.native import NativeServices
from deploy.local.privileges import give_to_service_user, unprivileged_prefix

CONFIGURATION = Path(__file__).with_name("postgresql.conf")
NATIVE = NativeServices(ROOT / ".llmscope" / "native")
# The C locale sorts bytes, which is fast and the same on every system.
INITDB_OPTIONS = (
    "--username=llmscope",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--pwfile=/dev/stdin",
    "--no-instructions",
    # Iterations slow down guessing. The password is 192 random bits, and Dagster opens a connection
    # per event: with 4,096 iterations a fifth of a run's time went into logging in.
    "--set=scram_iterations=1",
)
# What Dagster notes of its runs may lose its last moment in a crash; the ledger may not.
CREATE_DATABASES = """create database llmscope;
create database dagster;
alter database dagster set synchronous_commit = off;
"""
# The Apache edition ships a daily job that it refuses to run, and logs an error each time.
CREATE_EXTENSION = """create extension timescaledb;
delete from _timescaledb_config.bgw_job where proc_name = 'policy_job_stat_history_retention';
"""


def data_folder(platform: Platform) -> Path:
    """Where the tables lie."""
    return platform.home / "postgres"


def stored_password(platform: Platform) -> str:
    """The password of the native services, made at first use and readable by its owner alone."""
    path = platform.home / "native_password"
    if not path.exists():
        platform.home.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text()


def initialise(platform: Platform, native: NativeServices = NATIVE) -> None:
    """Make the data folder with both databases, once; a broken attempt leaves none.

    Raises:
        SetupError: initdb or its first statements fail.
    """
    data = data_folder(platform)
    if data.exists():
        return
    unfinished = data.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, mode=0o700)
    give_to_service_user(unfinished)
    _run_initdb(unfinished, native, stored_password(platform))
    _run_single(unfinished, native, "postgres", CREATE_DATABASES)
    _run_single(unfinished, native, "llmscope", CREATE_EXTENSION)
    unfinished.rename(data)


def server_command(data: Path, port: int, native: NativeServices = NATIVE) -> list[str]:
    """The command of the server in the foreground."""
    return [*_postgres(data, native), "-c", f"port={port}"]


def client_environment(url: str) -> dict[str, str]:
    """`url` as the variables that psql reads."""
    parts = urlsplit(url)
    return {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.removeprefix("/"),
    }


def _postgres(data: Path, native: NativeServices, *mode: str) -> list[str]:
    program = native.postgres_bin / "postgres"
    prefix = unprivileged_prefix([program, data, CONFIGURATION])
    return [*prefix, str(program), *mode, "-D", str(data), "-c", f"config_file={CONFIGURATION}"]


def _run_initdb(data: Path, native: NativeServices, password: str) -> None:
    program = native.postgres_bin / "initdb"
    prefix = unprivileged_prefix([program, data])
    _run([*prefix, str(program), "-D", str(data), *INITDB_OPTIONS], password)


def _run_single(data: Path, native: NativeServices, database: str, statements: str) -> None:
    _run([*_postgres(data, native, "--single"), "-j", database], statements.replace("\n", "\n\n"))


def _run(command: list[str], text: str) -> None:
    # A file, not a pipe: another user may open it again as /dev/stdin.
    with tempfile.TemporaryFile("w+") as given:
        given.write(text)
        given.seek(0)
        give_to_service_user(Path(f"/proc/self/fd/{given.fileno()}"))
        # The single-user server reports errors but exits with 0, or goes on.
        done = subprocess.run(
            command, stdin=given, capture_output=True, text=True, cwd="/", check=False
        )
    failures = [line for line in done.stderr.splitlines() if "ERROR:" in line or "FATAL:" in line]
    if done.returncode != 0 or failures:
        reason = (failures or done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SetupError(f"PostgreSQL could not make its data folder ({reason.strip()}).")


def main() -> NoReturn:
    """Become the server."""
    platform = platform_from(os.environ)
    command = server_command(data_folder(platform), platform.port("postgres"))
    os.chdir("/")
    become(command)


if __name__ == "__main__":
    main()
