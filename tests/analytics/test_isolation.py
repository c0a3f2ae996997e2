"""With a key of one project, no route gives out anything of another.

The routes are those of the OpenAPI document, so that a new one cannot be forgotten: one that is
asked in another way than by GET without parameters must say here how.
"""

import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import psycopg
import pytest
from pyarrow import parquet

from ingest_api.settings import Settings
from tests.analytics.conftest import Ledger
from tests.analytics.ledger import NOW, START
from tests.api.document import Operation, examples, operations
from tests.api.door import event_text
from tests.serving import serving

PERIOD = {"from": START.isoformat(), "to": NOW.isoformat()}
# Its answer never ends: `ingest_api/live/test_feed.py` reads it with the keys of two projects.
ENDLESS = {"GET /api/v1/events/stream"}
TEXT_COLUMNS = """
select format('%I.%I', table_schema, table_name), column_name, data_type
from information_schema.columns
where table_schema in ('raw', 'marts') and data_type in ('text', 'jsonb', 'bytea')
    and (table_schema, table_name) in (
        select table_schema, table_name from information_schema.columns
        where column_name = 'project_id'
    )
"""


def body_of(operation: Operation) -> dict[str, Any]:
    """A request that the operation understands."""
    content = operation.definition.get("requestBody", {}).get("content", {})
    if not content:
        return {}
    kind, media = next(iter(content.items()))
    if operation.path.endswith("/events/ingest"):
        return {"content": event_text(), "headers": {"content-type": kind}}
    if operation.path.endswith("/events/ingest/batch"):
        return {"content": b"[" + event_text() + b"]", "headers": {"content-type": kind}}
    found = examples(media)
    return {"json": found[0]} if found else {"content": b"", "headers": {"content-type": kind}}


def requests_of(operation: Operation, ledger: Ledger) -> Iterator[dict[str, Any]]:
    """What a curious client would ask: everything, and everything of the other project."""
    names = {p["name"] for p in operation.definition.get("parameters", []) if p["in"] == "query"}
    period = {name: value for name, value in PERIOD.items() if name in names}
    if "limit" in names and "interval" not in names:
        period["limit"] = "500"
    yield {"params": period}
    values = {
        "provider_name": "provider-alpaca", "model": "unknown-alpaca", "user_id": "user-alpaca-1",
        "operation_name": "operation-alpaca", "environment": "environment-alpaca",
        "service_name": "service-alpaca", "error_type": "error-alpaca",
        "tag": "team:team-alpaca-1",
    }  # fmt: skip
    for name in sorted(names & values.keys()):
        yield {"params": {**period, name: values[name]}}
    if "group_by" in names:
        for name in ("user_id", "tag:team", "service_name", "error_type"):
            yield {"params": {**period, "group_by": name}}
    if "by" in names:
        for name in ("user_id", "tag:team", "conversation_id", "provider_name"):
            yield {"params": {**period, "by": name}}
    if "format" in names:
        yield {"params": {**period, "format": "csv"}}
        yield {"params": {**period, "format": "parquet"}}
    for name in ("project_id", "tenant_id"):
        yield {"params": {**period, name: str(getattr(ledger.a, name))}}


@pytest.fixture
async def of_b(settings: Settings, ledger: Ledger) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the key of project `b`."""
    async with serving(settings) as opened:
        opened.headers["Authorization"] = f"Bearer {ledger.b.key}"
        yield opened


def test_every_text_of_project_a_carries_its_marker(ledger: Ledger) -> None:
    """Else the search below would look for nothing."""
    marked = set()
    with psycopg.connect(ledger.database_url) as connection:
        for table, column, kind in connection.execute(TEXT_COLUMNS).fetchall():
            shown = f"encode({column}, 'escape')" if kind == "bytea" else f"{column}::text"
            found = connection.execute(
                f"select 1 from {table} where project_id = %s and {shown} like %s limit 1",
                [ledger.a.project_id, "%alpaca%"],
            ).fetchone()
            if found:
                marked.add(f"{table}.{column}")
    assert marked >= {
        f"raw.llm_events.{name}"
        for name in (
            "provider_name", "request_model", "operation_name", "error_type", "error_message",
            "usage_details", "user_id", "conversation_id", "environment", "service_name", "tags",
            "trace_id", "span_id", "response_id", "sdk_name", "sdk_version",
        )
    } | {
        "raw.dead_letters.payload", "raw.dead_letters.rejected_reason",
        "marts.fct_conversations.conversation_id", "marts.fct_llm_calls.user_id",
        "marts.fct_attributed_usage_daily.tags",
    }  # fmt: skip


async def test_no_route_gives_project_b_anything_of_project_a(
    of_b: httpx.AsyncClient, ledger: Ledger
) -> None:
    document = (await of_b.get("/openapi.json")).json()
    asked, own = set(), set()
    for operation in operations(document):
        if "security" not in operation.definition:
            continue
        for request in requests_of(operation, ledger):
            answer = await of_b.request(
                operation.method, operation.path, **request, **body_of(operation)
            )
            assert answer.status_code < 500, (operation.label, answer.text)
            assert_nothing_of_a(operation, request, answer, ledger)
            if answer.is_success:
                asked.add(operation.label)
            if "badger" in text_of(answer):
                own.add(operation.label)
    keyed = {one.label for one in operations(document) if "security" in one.definition}
    assert asked == keyed - ENDLESS, "a route that no request of this test can please"
    # What gives nothing at all would hide nothing.
    assert own >= {
        f"GET /api/v1/analytics/{name}" for name in ("top", "timeseries", "breakdown", "overview")
    } | {"GET /api/v1/analytics/conversations", "GET /api/v1/events/recent"}


def assert_nothing_of_a(
    operation: Operation, request: dict[str, Any], answer: httpx.Response, ledger: Ledger
) -> None:
    """Neither a marker nor an id. A refusal may say again what the request itself said."""
    text, sent = text_of(answer), json.dumps(request)
    for secret in ("alpaca", str(ledger.a.project_id), str(ledger.a.tenant_id)):
        if secret not in sent or answer.is_success:
            assert secret not in text, (operation.label, request, secret)


def text_of(answer: httpx.Response) -> str:
    """Everything that an answer says; Parquet is compressed."""
    if answer.headers.get("content-type") == "application/vnd.apache.parquet":
        return str(parquet.read_table(io.BytesIO(answer.content)).to_pylist())
    return answer.text
