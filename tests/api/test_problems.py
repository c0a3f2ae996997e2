"""Every error a client can get is in the OpenAPI document: this walks through all of them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from deploy.local.environment import ROOT
from ingest_api.analytics.sources import TABLES as MARTS
from ingest_api.errors import PROBLEMS
from ingest_api.seed import seed
from tests.api.document import (
    Document,
    Operation,
    Outcome,
    check_answer,
    documented,
    examples,
    operations,
    outcome,
    validator,
)
from tests.api.door import BATCH, INGEST, Door, event_text, problem_of
from tests.api.gate import Gate
from tests.marts import build_empty_marts
from tests.running import RunningPlatform, free_port_base, wait_until

OTLP: Final = "/api/v1/otlp"
SIGNALS: Final = ("traces", "logs", "metrics")
EVENT_STREAM: Final = "text/event-stream"
FEED: Final = "/api/v1/events/stream"
# Nothing outside them makes them fail in a way that nobody expects: they touch neither Redis nor
# Postgres, or answer 503 to whatever Redis does.
NEVER_FAIL: Final = {
    "GET /healthz",
    "GET /metrics",
    "GET /api/v1/events/schema",
    f"GET {FEED}",
    f"POST {FEED}/token",
    f"POST {INGEST}/token",
    f"POST {INGEST}",
    f"POST {BATCH}",
    *(f"POST {prefix}/v1/{signal}" for prefix in ("", OTLP) for signal in SIGNALS),
}
# Renamed, they are a table that a migration forgot.
TABLES: Final = (
    "raw.llm_events", "raw.dead_letters", "pricing.model_prices", "app.budgets",
    "app.notification_channels", "app.notifications",
    "app.alert_rules", "app.alert_events",
)  # fmt: skip


def body_of(operation: Operation) -> bytes | None:
    """A good body; the first example of the document where it is no event."""
    if operation.path == INGEST:
        return event_text()
    if operation.path == BATCH:
        return b"[" + event_text() + b"]"
    content = operation.definition.get("requestBody", {}).get("content", {})
    for media in content.values():
        return httpx.Request("POST", "http://test", json=examples(media)[0]).content
    return None


def content_type_of(operation: Operation) -> dict[str, str]:
    """The header for `body_of`."""
    content = operation.definition.get("requestBody", {}).get("content", {})
    return {"Content-Type": next(iter(content))} if content else {}


def _answer_of(
    client: httpx.Client, operation: Operation, request: dict[str, Any]
) -> httpx.Response:
    """The answer; of one without an end the first bytes."""
    if not is_endless(operation):
        return client.request(operation.method, operation.path, **request)
    with client.stream(operation.method, operation.path, **request) as answer:
        content = answer.read() if answer.is_error else next(answer.iter_bytes())
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)


def is_endless(operation: Operation) -> bool:
    """Whether a good answer goes on until the client has enough."""
    return EVENT_STREAM in operation.definition["responses"].get("200", {}).get("content", {})


@dataclass
class Walk:
    """Answers of one API, each checked against the document."""

    document: Document
    door: Door
    seen: set[Outcome] = field(default_factory=set)

    def operations(self) -> Iterator[Operation]:
        """All operations of the document."""
        return operations(self.document)

    def send(self, operation: Operation, key: str | None = None, **changes: Any) -> httpx.Response:
        """A good request but for `changes`; remembers and checks the answer."""
        accept = {"Accept": EVENT_STREAM} if is_endless(operation) else {}
        headers = {**content_type_of(operation), **accept, **changes.pop("headers", {})}
        request = {"content": body_of(operation), "headers": headers, **changes}
        with self.door.client(key) as client:
            answer = _answer_of(client, operation, request)
        found = outcome(operation, answer)
        assert found in set(documented(operation)), f"undocumented: {found} {answer.text}"
        check_answer(self.document, operation, answer)
        self.seen.add(found)
        return answer

    def succeeds(self, operation: Operation) -> bool:
        """Whether a good request is answered as good."""
        return self.send(operation).is_success

    def send_all(self, **changes: Any) -> None:
        """Every operation once."""
        for operation in self.operations():
            self.send(operation, **changes)


@contextmanager
def faulty_api(home: Path, database_url: str, gate: Gate) -> Iterator[Door]:
    """An API process whose way to Redis leads through `gate`."""
    port = free_port_base()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("LLMSCOPE_")},
        "DATABASE_URL": database_url,
        "REDIS_URL": gate.url,
        "LLMSCOPE_HOME": str(home),
        "LLMSCOPE_API_PORT": str(port),
        "LLMSCOPE_QUERY_TIMEOUT_SECONDS": "1",
    }
    key = seed(database_url, home)
    assert key is not None
    url = f"http://127.0.0.1:{port}"
    with (home / "api.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ingest_api"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        try:
            wait_until(lambda: _answers(url, process), "the API answers", 60)
            yield Door(url, key, database_url, gate.url)
        finally:
            process.terminate()
            process.wait(30)


def _answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the API ended"
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def database_away(services: RunningPlatform, database_url: str) -> Iterator[None]:
    """Nobody may connect to the database, and whoever was connected is thrown out."""
    name = urlsplit(database_url).path[1:]
    with psycopg.connect(services.database_url, autocommit=True) as connection:
        connection.execute(f"alter database {name} allow_connections false")
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name]
        )
        try:
            yield
        finally:
            connection.execute(f"alter database {name} allow_connections true")


@contextmanager
def tables_away(database_url: str) -> Iterator[None]:
    """The tables have another name."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        for table in TABLES:
            connection.execute(f"alter table {table} rename to {table.partition('.')[2]}_gone")
        # A table less would mean that the marts are not built yet.
        connection.execute("alter table app.projects rename rollup_tags to rollup_tags_gone")
        yield
        connection.execute("alter table app.projects rename rollup_tags_gone to rollup_tags")
        for table in TABLES:
            connection.execute(f"alter table {table}_gone rename to {table.partition('.')[2]}")


def break_requests(walk: Walk) -> None:
    """What a client can get wrong."""
    powerless = walk.door.make_key()
    walk.door.wait_for_key(powerless)
    for operation in walk.operations():
        walk.send(operation)
        has_key = "security" in operation.definition
        if has_key:
            walk.send(operation, key="llms_unknown")
            walk.send(operation, key=powerless)
        walk.send(operation, params={"unheard_of": "1"})
        if is_endless(operation):
            walk.send(operation, headers={"Accept": "*/*"})
        for parameter in operation.definition.get("parameters", []):
            if parameter["in"] == "query":
                walk.send(operation, params={parameter["name"]: "\0"})
        if "requestBody" in operation.definition:
            for content in (b"{", b"{}", b"[{}]", b'{"ids": []}', b" " * 21 * 1024 * 1024):
                walk.send(operation, content=content)
            walk.send(operation, headers={"content-encoding": "br"})


def ask_too_much(walk: Walk, database_url: str) -> None:
    """Of a period that no answer can hold, for an answer that is known, and of a locked table."""
    for operation in walk.operations():
        if {"limit-exceeded", "query-timeout"} & {one.problem for one in documented(operation)}:
            walk.send(operation, params={"from": "2001-01-01"})
            walk.send(operation, headers={"if-none-match": "*"})
            with psycopg.connect(database_url) as connection:
                marts = ", ".join(f"marts.{name}" for name in MARTS)
                connection.execute(f"lock table {marts} in access exclusive mode")
                walk.send(operation)


def exceed_limits(walk: Walk) -> None:
    """A key that may send one event a second, and a project that may have one a day."""
    walk.door.make_project("thrifty", max_events_per_day=1)
    slow = walk.door.make_key("ingest", "read", max_events_per_second=1, max_burst_events=1)
    thrifty = walk.door.make_key("ingest", "read", project="thrifty")
    walk.door.wait_for_key(thrifty)
    for operation in walk.operations():
        if any(found.status == 429 for found in documented(operation)):
            for key in (slow, thrifty):
                statuses = (walk.send(operation, key=key).status_code for _ in range(50))
                assert 429 in statuses


@pytest.mark.timeout(300)  # 400 requests, some of which wait for what is away
def test_every_documented_error_can_be_had_and_no_other(
    services: RunningPlatform, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    build_empty_marts(database_url, tmp_path / "dbt")
    with Gate(redis_url) as gate, faulty_api(tmp_path, database_url, gate) as door:
        document = httpx.get(f"{door.api_url}/openapi.json").json()
        walk = Walk(document, door)
        break_requests(walk)
        exceed_limits(walk)
        ask_too_much(walk, database_url)
        gate.mode = "shut"
        walk.send_all()
        for operation in walk.operations():
            # Over a connection that was made while Redis told the truth.
            gate.mode = "open"
            wait_until(partial(walk.succeeds, operation), f"{operation.label} is well", 60)
            gate.mode = "lying"
            walk.send(operation)
        gate.mode = "open"
        with tables_away(database_url):
            walk.send_all()
        with database_away(services, database_url):
            walk.send_all()
        for operation in walk.operations():
            expected = set(documented(operation))
            if operation.label in NEVER_FAIL:
                expected = {found for found in expected if found.status != 500}
            assert expected - walk.seen == set(), operation.label


def test_paths_and_methods_that_are_none_are_documented(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    for answer, name in [
        (http.get("/nowhere"), "NotFound"),
        (http.put(INGEST), "MethodNotAllowed"),
    ]:
        (media,) = document["components"]["responses"][name]["content"].values()
        assert problem_of(answer) in {
            example["type"].rsplit("/")[-1] for example in examples(media)
        }
        validator(document, media["schema"]).validate(answer.json())


def test_every_problem_is_documented_somewhere(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    named = {found.problem for operation in operations(document) for found in documented(operation)}
    shared = {"not-found", "method-not-allowed"}
    assert named | shared == {problem.type for problem in PROBLEMS} | {""}


def test_the_document_is_openapi_3_1(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    OPENAPI_31_VALIDATOR.validate(document)


def test_every_example_has_the_form_of_its_schema(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    checked = 0
    for media in media_types(document):
        for example in examples(media):
            validator(document, media["schema"]).validate(example)
            checked += 1
    assert checked > 40


def media_types(node: Any) -> Iterator[dict[str, Any]]:
    """Every body that the document describes."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "content":
                yield from value.values()
            yield from media_types(value)
    elif isinstance(node, list):
        for value in node:
            yield from media_types(value)


@pytest.mark.parametrize("path", [INGEST, BATCH])
def test_every_example_of_a_request_is_accepted(http: httpx.Client, path: str) -> None:
    document = http.get("/openapi.json").json()
    content = document["paths"][path]["post"]["requestBody"]["content"]
    for kind, media in content.items():
        for example in examples(media):
            body = {"content": example} if isinstance(example, str) else {"json": example}
            answer = http.post(path, headers={"content-type": kind}, **body)
            assert answer.status_code == 202, answer.text
            assert answer.json()["rejected"] == []
