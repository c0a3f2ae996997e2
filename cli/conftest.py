"""The command line as a user runs it, against a real API on its own database and Redis."""

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx
import psycopg
import pytest
import uvicorn

from cli.__main__ import main
from ingest_api import seed
from ingest_api.app import create_app
from ingest_api.settings import Settings
from ingest_api.stream import EventStreamReader, connect
from orchestration.loading.loader import Loader
from tests.running import wait_until


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str


class RunCli(Protocol):
    """Runs one command in this process."""

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Ended: ...


@dataclass(frozen=True)
class Served:
    """An API that answers, and what lies behind it."""

    url: str
    key: str
    settings: Settings

    def load(self) -> None:
        """Take everything out of the stream into the tables."""
        with connect(self.settings.redis_url) as client:
            reader = EventStreamReader(client, "test")
            Loader(reader, lambda: psycopg.connect(self.settings.database_url)).drain(0.3)

    def status_with(self, key: str, path: str) -> int:
        """Status of the answer to a GET with `key`."""
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.get(self.url + path, headers=headers, trust_env=False).status_code

    def query(self, statement: str) -> list[tuple[object, ...]]:
        """Rows of one statement."""
        with psycopg.connect(self.settings.database_url) as connection:
            return connection.execute(statement).fetchall()


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """URL of the API, served by uvicorn on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            wait_until(lambda: server.started, "the API serves", 60)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(60)


@pytest.fixture
def served(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    """The API, and this process's environment as that of its user."""
    settings = Settings(database_url=database_url, redis_url=redis_url, home=tmp_path)
    key = seed.seed(database_url, tmp_path)
    assert key is not None
    with serving(settings) as url:
        monkeypatch.setenv("LLMSCOPE_URL", url)
        monkeypatch.setenv("LLMSCOPE_API_KEY", key)
        monkeypatch.setenv("DATABASE_URL", database_url)
        yield Served(url, key, settings)


@pytest.fixture
def run_cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> RunCli:
    """Runs `llmscope`; a home of its own keeps it off this clone's platform."""
    monkeypatch.setenv("LLMSCOPE_HOME", str(tmp_path / "home"))

    def run(*arguments: str, stdin: bytes = b"") -> Ended:
        content = io.BufferedReader(io.BytesIO(stdin))  # type: ignore[type-var]
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content))
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return run
