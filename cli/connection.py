"""Where the API and the database are: the environment, else `.env`, else this clone's own."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import psycopg

from cli.errors import ApiError, CliError
from deploy.local import postgres
from deploy.local.environment import (
    ROOT,
    Platform,
    merged_settings,
    native_database_url,
    platform_from,
    read_dotenv,
)
from deploy.local.errors import SetupError

TIMEOUT_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 5


@dataclass(frozen=True)
class ApiAccess:
    """Base URL of an API, and a key for it."""

    url: str
    key: str = field(repr=False)


def read_clone() -> tuple[Platform, dict[str, str]]:
    """The platform of this clone, and the settings that describe it.

    Raises:
        CliError: a setting is wrong.
    """
    dotenv = ROOT / ".env"
    try:
        given = read_dotenv(dotenv.read_text()) if dotenv.exists() else {}
        settings = merged_settings(given, os.environ)
        return platform_from(settings), settings
    except SetupError as error:
        raise CliError(str(error)) from None


def api_access(platform: Platform, settings: Mapping[str, str]) -> ApiAccess:
    """LLMSCOPE_URL and LLMSCOPE_API_KEY, else the clone's own API and the key of its first start.

    Raises:
        CliError: there is no key, or the URL is none.
    """
    url, key = settings.get("LLMSCOPE_URL", ""), settings.get("LLMSCOPE_API_KEY", "")
    if url and urlsplit(url).scheme not in {"http", "https"}:
        raise CliError("LLMSCOPE_URL must start with http:// or https://: correct it.")
    if url and not key:
        # The clone's key must not travel to somebody else's server.
        raise CliError("LLMSCOPE_API_KEY is not set: LLMSCOPE_URL needs a key of that server.")
    key_file = platform.home / "api_key"
    if not key and not key_file.exists():
        raise CliError(
            f"There is no API key in {key_file}: start LLMScope with `llmscope up`, "
            "or set LLMSCOPE_URL and LLMSCOPE_API_KEY."
        )
    return ApiAccess((url or platform.api_url).rstrip("/"), key or key_file.read_text().strip())


@contextmanager
def open_api() -> Iterator[httpx.Client]:
    """A client with the URL and the key of the settings; errors as in `api_access`."""
    access = api_access(*read_clone())
    is_local = urlsplit(access.url).hostname in {"127.0.0.1", "localhost", "::1"}
    with httpx.Client(
        base_url=access.url,
        headers={"Authorization": f"Bearer {access.key}"},
        timeout=TIMEOUT_SECONDS,
        # Proxies of the environment are not for loopback.
        trust_env=not is_local,
    ) as client:
        yield client


def call_api(client: httpx.Client, method: str, path: str, **request: Any) -> Any:
    """The JSON that the API answers.

    Raises:
        ApiError: it refused.
        CliError: nothing answers there, or something that is not LLMScope.
    """
    try:
        response = client.request(method, path, **request)
    except httpx.TransportError:
        raise CliError(unreachable(client)) from None
    if response.is_success:
        return read_json(response)
    raise ApiError(response.status_code, problem_detail(response))


def unreachable(client: httpx.Client) -> str:
    """What to do where nothing answers."""
    return (
        f"The API does not answer at {str(client.base_url).rstrip('/')}: "
        "start it with `llmscope up`, or set LLMSCOPE_URL."
    )


def read_json(response: httpx.Response) -> Any:
    """The body of an answer.

    Raises:
        CliError: it is no JSON.
    """
    try:
        return response.json()
    except ValueError:
        raise CliError(
            f"{response.url.host} did not answer as LLMScope does: check LLMSCOPE_URL."
        ) from None


def problem_detail(response: httpx.Response) -> str:
    """The sentence of a problem document, else the words of the status."""
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return response.reason_phrase


@contextmanager
def open_database() -> Iterator[psycopg.Connection]:
    """A connection to the platform's database, committed at the end.

    Raises:
        CliError: it is away, or its schema is older than this program.
    """
    url = _database_url(read_clone()[0])
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS) as connection:
            yield connection
    except psycopg.OperationalError:
        raise CliError(
            "The database does not answer: start LLMScope with `llmscope up`, or set DATABASE_URL."
        ) from None
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        raise CliError(
            "The database has an older schema than this program: start the API once."
        ) from None


@contextmanager
def built_marts() -> Iterator[None]:
    """For what reads the marts.

    Raises:
        CliError: they were never built.
    """
    try:
        yield
    except psycopg.errors.UndefinedTable:
        raise CliError("The marts were never built: wait for their first build.") from None


def _database_url(platform: Platform) -> str:
    if platform.database_url:
        return platform.database_url
    if not (platform.home / "native_password").exists():
        raise CliError(
            f"There is no database in {platform.home}: start LLMScope with `llmscope up`, "
            "or set DATABASE_URL."
        )
    return native_database_url(platform, postgres.stored_password(platform), "llmscope")
