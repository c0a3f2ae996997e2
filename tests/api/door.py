"""A real API process and the many ways in which a client may knock."""

import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPResponse
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psycopg
import redis
from psycopg.rows import dict_row

from ingest_api.auth import hash_key, new_key
from ingest_api.errors import PROBLEM_TYPE_PREFIX
from ingest_api.stream import EventStreamReader
from orchestration.loading.loader import Loader
from tests.running import wait_until

INGEST = "/api/v1/events/ingest"
BATCH = "/api/v1/events/ingest/batch"
RECENT = "/api/v1/events/recent"
STATS = "/api/v1/events/stats"
NDJSON = {"content-type": "application/x-ndjson"}
# A hang is a failure: the slowest answer here takes 0.2 s, and CI is a few times slower.
TIMEOUT_SECONDS = 20.0

INSERT_KEY = """
insert into app.api_keys (project_id, name, key_prefix, key_hash, scopes, expires_at, revoked_at,
                          max_events_per_second, max_burst_events)
select project_id, 'test', %(prefix)s, %(hash)s, %(scopes)s, %(expires_at)s, %(revoked_at)s,
       %(max_events_per_second)s, %(max_burst_events)s
from app.projects where name = %(project)s
"""
INSERT_PROJECT = """
insert into app.projects (tenant_id, name, max_events_per_day)
select tenant_id, %s, %s from app.tenants on conflict do nothing
"""


class RawAnswer(NamedTuple):
    """What came back over a bare socket."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Door:
    """A running API.

    Attributes:
        api_key: The seeded key, which may do everything in project `main`.
    """

    api_url: str
    api_key: str
    database_url: str
    redis_url: str

    @contextmanager
    def client(self, key: str | None = None, **headers: str) -> Iterator[httpx.Client]:
        """An HTTP client with `key`, by default the seeded one that may do everything.

        Each request has a connection of its own: what one leaves behind is not the next one's.
        """
        bearer = {"authorization": f"Bearer {key or self.api_key}"}
        with httpx.Client(
            base_url=self.api_url,
            headers=bearer | headers,
            timeout=TIMEOUT_SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0),
        ) as client:
            yield client

    def make_key(self, *scopes: str, project: str = "main", **columns: object) -> str:
        """A key with `scopes`; `columns` are those of app.api_keys."""
        key = new_key()
        values = dict.fromkeys(
            ("expires_at", "revoked_at", "max_events_per_second", "max_burst_events")
        )
        with psycopg.connect(self.database_url) as connection:
            connection.execute(
                INSERT_KEY,
                {**values, "prefix": key[:12], "hash": hash_key(key), "scopes": list(scopes),
                 "project": project, **columns},
            )  # fmt: skip
        return key

    def make_project(self, name: str, max_events_per_day: int | None) -> None:
        """A project of the single tenant."""
        with psycopg.connect(self.database_url) as connection:
            connection.execute(INSERT_PROJECT, [name, max_events_per_day])

    def wait_for_key(self, key: str) -> None:
        """Return once the API knows `key`: it reads new ones within seconds."""

        def known() -> bool:
            with self.client(key) as client:
                return client.get(STATS).status_code != 401

        wait_until(known, "the API knows the key", 60)

    def exchange(self, request: bytes, seconds: float = TIMEOUT_SECONDS) -> RawAnswer:
        """Send bytes as they are and read one answer.

        Raises:
            TimeoutError: no answer within `seconds`.
        """
        url = urlsplit(self.api_url)
        address = (str(url.hostname), int(url.port or 0))
        with socket.create_connection(address, seconds) as connection:
            connection.sendall(request)
            answer = HTTPResponse(connection)
            answer.begin()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return RawAnswer(answer.status, headers, answer.read())

    def load(self) -> None:
        """Bring everything that waits in the stream into the tables, as the platform would."""
        reader = EventStreamReader(redis.Redis.from_url(self.redis_url), "tests")
        loader = Loader(reader, lambda: psycopg.connect(self.database_url))

        def is_drained() -> bool:
            loader.drain(0.1)
            return reader.stats().lag_event_count == 0

        wait_until(is_drained, "everything is loaded", 60)

    def select(self, statement: str, *parameters: object) -> list[dict[str, Any]]:
        """Rows of one statement, by column."""
        with psycopg.connect(self.database_url, row_factory=dict_row) as connection:
            return connection.execute(statement, parameters).fetchall()

    def letter_count(self) -> int:
        """How many events could not be loaded."""
        (row,) = self.select("select count(*) from raw.dead_letters")
        count: int = row["count"]
        return count

    def rows(self, event_ids: Sequence[str]) -> dict[str, int]:
        """How many rows each of the events is."""
        found = self.select(
            "select event_id::text, count(*) from raw.llm_events where event_id = any(%s::uuid[])"
            " group by 1",
            list(event_ids),
        )
        return {row["event_id"]: row["count"] for row in found}


def problem_of(answer: httpx.Response) -> str:
    """The stable name of the error, after checking the form that every error has."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["title"]
    assert body["detail"]
    name: str = body["type"]
    assert name.startswith(PROBLEM_TYPE_PREFIX)
    return name.removeprefix(PROBLEM_TYPE_PREFIX)


def members(**changes: str | None) -> dict[str, str]:
    """A good event as JSON texts by field; a change of None leaves a field out."""
    good = {
        "event_id": f'"{uuid4()}"',
        "provider_name": '"openai"',
        "request_model": '"gpt-4o"',
        "started_at": f'"{datetime.now(UTC).isoformat()}"',
    }
    return {name: text for name, text in (good | changes).items() if text is not None}


def event_text(**changes: str | None) -> bytes:
    """A good event as JSON, but for `changes`, each the JSON text of a field."""
    pairs = (f"{json.dumps(name)}: {text}" for name, text in members(**changes).items())
    return ("{" + ", ".join(pairs) + "}").encode()


def nested(depth: int) -> str:
    """The JSON text of objects in objects."""
    return '{"a":' * depth + "1" + "}" * depth


def ids(answer: httpx.Response) -> list[str]:
    """Ids of the accepted events."""
    accepted: list[str] = answer.json()["accepted"]
    return accepted


def rejections(answer: httpx.Response) -> list[tuple[int, str]]:
    """Index and field of each rejected event."""
    rejected: list[dict[str, Any]] = answer.json()["rejected"]
    assert all(line["reason"] for line in rejected)
    return [(line["index"], line["field"]) for line in rejected]
