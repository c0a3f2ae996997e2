"""The configuration of a clone, and from it the environment of every process."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from deploy.local.errors import SetupError

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PORT_BASE = 8400
# The code server is the only one that a browser or a client never needs.
PORT_OFFSETS = {"api": 0, "webserver": 1, "postgres": 2, "redis": 3, "code_server": 4}
POSTGRES_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg2")
# Settings that name services of the user's own; everything else in `.env` is LLMSCOPE_*.
SERVICE_VARIABLES = ("DATABASE_URL", "DAGSTER_DATABASE_URL", "REDIS_URL")


@dataclass(frozen=True)
class Platform:
    """One running copy of LLMScope: where its data lies, its ports and its services.

    `database_url` and `redis_url` are empty for the native services.
    """

    home: Path
    port_base: int = DEFAULT_PORT_BASE
    database_url: str = ""
    dagster_database_url: str = ""
    redis_url: str = ""

    def port(self, process: str) -> int:
        """The loopback port on which `process` listens."""
        return self.port_base + PORT_OFFSETS[process]

    @property
    def api_url(self) -> str:
        """Where the API answers, without a slash at the end."""
        return f"http://127.0.0.1:{self.port('api')}"

    @property
    def dagster_url(self) -> str:
        """Where the Dagster UI answers."""
        return f"http://127.0.0.1:{self.port('webserver')}"

    @property
    def run_folder(self) -> Path:
        """Pid files, the runner's lock and generated configuration."""
        return self.home / "run"

    @property
    def logs_folder(self) -> Path:
        """One log file per process and set-up step."""
        return self.home / "logs"

    @property
    def native_processes(self) -> tuple[str, ...]:
        """The services that the runner has to start itself."""
        postgres = () if self.database_url else ("postgres",)
        return postgres if self.redis_url else (*postgres, "redis")


def platform_from(settings: Mapping[str, str]) -> Platform:
    """Read a platform from environment variables.

    Raises:
        SetupError: LLMSCOPE_PORT_BASE is no usable port, or a URL has the wrong scheme.
    """
    database_url = _url(settings, "DATABASE_URL", POSTGRES_SCHEMES[:2])
    dagster_url = _url(settings, "DAGSTER_DATABASE_URL", POSTGRES_SCHEMES)
    return Platform(
        home=Path(settings.get("LLMSCOPE_HOME") or ROOT / ".llmscope").resolve(),
        port_base=_port_base(settings.get("LLMSCOPE_PORT_BASE") or str(DEFAULT_PORT_BASE)),
        database_url=database_url,
        dagster_database_url=dagster_url or with_database(database_url, "dagster"),
        redis_url=_url(settings, "REDIS_URL", ("redis", "rediss", "unix")),
    )


def process_environment(
    platform: Platform, password: str, inherited: Mapping[str, str]
) -> dict[str, str]:
    """The environment of every process of `platform`.

    Args:
        platform: what to run.
        password: that of the native PostgreSQL and Redis.
        inherited: the environment of the runner, on which this one is laid.
    """
    database_url = platform.database_url or native_database_url(platform, password, "llmscope")
    dagster_url = platform.dagster_database_url or with_database(database_url, "dagster")
    home = platform.home
    return {
        **inherited,
        "PATH": f"{Path(sys.prefix) / 'bin'}:{inherited.get('PATH', '')}",
        "PYTHONPATH": str(ROOT),
        # Lines reach the logs as they are written.
        "PYTHONUNBUFFERED": "1",
        # Compiled once, Dagster starts in 4 s instead of 20.
        "PYTHONDONTWRITEBYTECODE": "",
        "DATABASE_URL": database_url,
        "DAGSTER_DATABASE_URL": with_driver(dagster_url),
        "REDIS_URL": platform.redis_url or native_redis_url(platform, password),
        "DAGSTER_HOME": str(home / "dagster"),
        "DBT_TARGET_PATH": str(home / "dbt"),
        "DBT_LOG_PATH": str(home / "dbt"),
        "LLMSCOPE_HOME": str(home),
        "LLMSCOPE_PORT_BASE": str(platform.port_base),
        "LLMSCOPE_API_PORT": str(platform.port("api")),
        "LLMSCOPE_CODE_SERVER_HOST": "127.0.0.1",
        "LLMSCOPE_CODE_SERVER_PORT": str(platform.port("code_server")),
        "LLMSCOPE_DAGSTER_PORT": str(platform.port("webserver")),
        "LLMSCOPE_PUBLIC_URL": inherited.get("LLMSCOPE_PUBLIC_URL") or platform.api_url,
        "LLMSCOPE_DAGSTER_URL": inherited.get("LLMSCOPE_DAGSTER_URL") or platform.dagster_url,
        **QUIET,
    }


# Nothing that LLMScope starts reports to anyone.
QUIET = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
}


def native_database_url(platform: Platform, password: str, database: str) -> str:
    """How to reach a database of the native PostgreSQL."""
    port = platform.port("postgres")
    return f"postgresql://llmscope:{quote(password)}@127.0.0.1:{port}/{database}"


def native_redis_url(platform: Platform, password: str) -> str:
    """How to reach the native Redis."""
    return f"redis://default:{quote(password)}@127.0.0.1:{platform.port('redis')}/0"


def with_driver(url: str) -> str:
    """`url` for Dagster's storage, which needs psycopg2; SQLAlchemy's default is psycopg 3."""
    return urlunsplit(urlsplit(url)._replace(scheme="postgresql+psycopg2"))


def without_driver(url: str) -> str:
    """`url` as libpq understands it."""
    return urlunsplit(urlsplit(url)._replace(scheme="postgresql"))


def with_database(url: str, database: str) -> str:
    """`url` with another database name; an empty URL stays empty."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}")) if url else ""


def read_dotenv(text: str) -> dict[str, str]:
    """The settings in a `.env` file: KEY=VALUE lines, `#` comments, optional quotes.

    Raises:
        SetupError: a line is no KEY=VALUE.
    """
    settings = {}
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.strip().removeprefix("export ")
        if not content or content.startswith("#"):
            continue
        key, equals, value = content.partition("=")
        if not equals or not key.strip().isidentifier():
            raise SetupError(f"Line {number} of .env is not KEY=VALUE: correct or remove it.")
        settings[key.strip()] = _unquoted(value.strip())
    return settings


def merged_settings(dotenv: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The environment, with what `.env` adds; the real environment wins."""
    added = {
        key: value
        for key, value in dotenv.items()
        if key.startswith("LLMSCOPE_") or key in SERVICE_VARIABLES
    }
    return {**added, **environment}


def _unquoted(value: str) -> str:
    is_quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if is_quoted else value


def _port_base(text: str) -> int:
    highest = 65535 - max(PORT_OFFSETS.values())
    if not text.isdecimal() or not 1024 <= int(text) <= highest:
        raise SetupError(
            f"LLMSCOPE_PORT_BASE is {text!r}: set it to a number from 1024 to {highest}."
        )
    return int(text)


def _url(settings: Mapping[str, str], variable: str, schemes: tuple[str, ...]) -> str:
    url = settings.get(variable, "")
    if url and urlsplit(url).scheme not in schemes:
        raise SetupError(f"{variable} must start with {schemes[0]}://: correct it or leave it out.")
    return url
