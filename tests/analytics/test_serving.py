"""Forms, ETags, the cache, limits and outages."""

import csv
import io
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import psycopg
import pyarrow as pa
import pytest
import redis
from pyarrow import parquet

from ingest_api.analytics.facts import GAMMA
from ingest_api.analytics.sources import TABLES
from ingest_api.settings import Settings
from tests.analytics.conftest import Ledger
from tests.analytics.ledger import NOW, START
from tests.api.door import problem_of
from tests.serving import serving

PATH = "/api/v1/analytics/"
WHOLE = {"from": START.isoformat(), "to": NOW.isoformat()}
ROUTES = ["overview", "timeseries", "breakdown", "top", "conversations", "costs"]
PARQUET = "application/vnd.apache.parquet"


async def get(client: httpx.AsyncClient, route: str, **request: Any) -> httpx.Response:
    parameters = WHOLE | request.pop("params", {})
    return await client.get(PATH + route, params=parameters, **request)


def table_of(answer: httpx.Response) -> pa.Table:
    return parquet.read_table(io.BytesIO(answer.content))


@pytest.mark.parametrize("route", ROUTES)
async def test_all_forms_hold_the_same_rows(client: httpx.AsyncClient, route: str) -> None:
    as_json = await get(client, route, params={"limit": 1000} if route == "conversations" else {})
    as_csv = await get(client, route, headers={"accept": "text/html, text/csv;q=0.9"})
    as_parquet = await get(client, route, params={"format": "parquet"})
    assert as_csv.headers["content-type"] == "text/csv; charset=utf-8"
    assert as_parquet.headers["content-type"] == PARQUET
    assert f"llmscope_{route}.parquet" in as_parquet.headers["content-disposition"]
    lines = list(csv.DictReader(io.StringIO(as_csv.text)))
    table = table_of(as_parquet)
    body = as_json.json()
    rows = body["rows"] if "rows" in body else [body["previous"], body["current"]]
    assert len(lines) == table.num_rows == len(rows) > 0
    assert table.column_names == list(lines[0])
    for row, line, cells in zip(rows, lines, table.to_pylist(), strict=True):
        for name, value in row.items():
            shown = line[name]
            assert shown == ("" if value is None else shown)
            if name.endswith("_usd") or name == "price_usd_per_million":
                assert value is None or shown == value
                assert cells[name] == (None if value is None else Decimal(value))
            elif name.endswith(("_count", "_tokens")):
                assert int(shown) == value == cells[name]


async def test_an_export_is_whole(client: httpx.AsyncClient, ledger: Ledger) -> None:
    names = {"group_by": ["user_id", "model", "tag:team", "environment"], "format": "parquet"}
    answer = await get(client, "breakdown", params=names)
    table = table_of(answer)
    assert table.num_rows > 250
    assert sum(table["call_count"].to_pylist()) == len(ledger.calls)
    assert pa.types.is_decimal(table.schema.field("total_cost_usd").type)


async def test_an_empty_answer_has_its_columns(client: httpx.AsyncClient) -> None:
    nobody = {"model": "nobody"}
    for form in ("csv", "parquet"):
        answer = await get(client, "breakdown", params={**nobody, "format": form})
        names = answer.text.strip().split(",") if form == "csv" else table_of(answer).column_names
        assert names[:3] == ["provider_name", "model", "call_count"]


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
@pytest.mark.parametrize("route", ROUTES)
async def test_what_a_client_has_is_not_sent_again(
    client: httpx.AsyncClient, route: str, form: str
) -> None:
    first = await get(client, route, params={"format": form})
    etag = first.headers["etag"]
    for known in (etag, f'"other", W/{etag}', "*"):
        answer = await get(client, route, params={"format": form}, headers={"if-none-match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
    other = await get(
        client, route, params={"format": form, "to": START.replace(day=26).isoformat()},
        headers={"if-none-match": etag},
    )  # fmt: skip
    assert other.status_code == 200


async def test_a_repeated_question_is_answered_from_the_cache_until_the_marts_change(
    client: httpx.AsyncClient, ledger: Ledger
) -> None:
    async def ask() -> httpx.Response:
        return await get(client, "overview")

    first, second = await ask(), await ask()
    assert [one.headers["x-cache"] for one in (first, second)] == ["miss", "hit"]
    assert first.content == second.content
    with psycopg.connect(ledger.database_url, autocommit=True) as connection:
        connection.execute(
            "insert into app.mart_stamps values ('built later', now())"
            " on conflict (mart) do update set refreshed_at = now()"
        )
    third = await ask()
    assert third.headers["x-cache"] == "miss"
    assert third.headers["etag"] != first.headers["etag"]
    assert third.json()["current"] == first.json()["current"]


def test_a_build_stamps_every_mart_that_answers_are_made_of(ledger: Ledger) -> None:
    with psycopg.connect(ledger.database_url) as connection:
        rows = connection.execute("select mart, refreshed_at from app.mart_stamps").fetchall()
        newest = {table: connection.execute(_newest(table)).fetchone() for table in TABLES}
    stamps = dict(rows)
    assert {table: (stamps.get(table),) for table in TABLES} == newest


def _newest(table: str) -> str:
    column = "cost_computed_at" if table == "fct_llm_calls" else "refreshed_at"
    return f"select max({column}) from marts.{table}"


async def test_the_cache_never_crosses_projects_and_is_bounded(
    client: httpx.AsyncClient, ledger: Ledger, settings: Settings
) -> None:
    await get(client, "overview")
    answer = await get(client, "overview", headers={"authorization": f"Bearer {ledger.b.key}"})
    assert answer.headers["x-cache"] == "miss"
    assert "alpaca" not in answer.text
    for n in range(150):
        await get(client, "top", params={"n": n + 1})
    with redis.Redis.from_url(settings.redis_url) as store:
        keys = list(store.scan_iter("llmscope:answers:*"))
        assert 10 < len(keys) <= 2 * 128
        assert all(0 < store.ttl(key) <= 600 for key in keys)


@pytest.fixture
async def without_redis(settings: Settings, ledger: Ledger) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API whose Redis never answers."""
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with serving(away) as opened:
        opened.headers["Authorization"] = f"Bearer {ledger.a.key}"
        yield opened


async def test_without_redis_questions_are_answered(without_redis: httpx.AsyncClient) -> None:
    for _ in range(2):
        answer = await get(without_redis, "overview")
        assert (answer.status_code, answer.headers["x-cache"]) == (200, "miss")


async def test_what_else_lies_in_the_cache_is_no_answer(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    expected = (await get(client, "overview")).content
    with redis.Redis.from_url(settings.redis_url) as store:
        (key,) = store.scan_iter("llmscope:answers:*")
        kept = store.get(key)
        assert isinstance(kept, bytes)
        for rubbish in (b"", b"x", kept[:16], kept[:16] + b"no zlib"):
            store.set(key, rubbish)
            assert (await get(client, "overview")).content == expected


@pytest.mark.parametrize(
    ("route", "parameters", "limit"),
    [
        ("timeseries", {"interval": "minute", "from": "2026-10-20"}, "max_period_days"),
        ("timeseries", {"interval": "minute", "group_by": "model"}, "max_period_days"),
        (
            "timeseries",
            {"interval": "hour", "group_by": "model", "limit": 50, "from": "2026-10-01"},
            "max_points",
        ),
        ("top", {"by": "tag:undeclared"}, "max_call_hours"),
        ("breakdown", {"group_by": ["user_id", "error_type"]}, "max_call_hours"),
        ("overview", {"from": "2010-01-01"}, "max_period_days"),
    ],
)
async def test_a_limit_says_its_name(
    client: httpx.AsyncClient, route: str, parameters: dict[str, Any], limit: str
) -> None:
    answer = await get(client, route, params=parameters)
    assert (answer.status_code, problem_of(answer)) == (422, "limit-exceeded")
    found = answer.json()["limit"]
    assert found["name"] == limit
    assert found["asked"] > found["maximum"]


@pytest.mark.parametrize(
    ("route", "parameters", "field"),
    [
        ("timeseries", {"interval": "second"}, "interval"),
        ("timeseries", {"group_by": "trace_id"}, "group_by"),
        ("timeseries", {"group_by": "tag:"}, "group_by"),
        ("timeseries", {"group_by": "model; drop table"}, "group_by"),
        ("timeseries", {"measures": "money"}, "0"),
        ("timeseries", {"limit": 51}, "limit"),
        ("breakdown", {"group_by": ["model"] * 5}, "group_by"),
        ("breakdown", {"order_by": "1"}, "order_by"),
        ("top", {"n": 0}, "n"),
        ("top", {"tag": "team"}, "0"),
        ("overview", {"from": "yesterday"}, "from"),
        ("overview", {"from": "2026-10-25T00:00:00"}, "from"),
        ("overview", {"from": "1761350400"}, "from"),
        ("overview", {"from": NOW.isoformat()}, "from"),
        ("overview", {"time_zone": "Mars/Olympus"}, "time_zone"),
        ("overview", {"format": "xml"}, "format"),
        ("overview", {"project_id": "00000000-0000-0000-0000-000000000014"}, "project_id"),
        ("conversations", {"cursor": "bm8"}, "cursor"),
        ("conversations", {"model": "gpt-4o"}, "model"),
    ],
)
async def test_a_wrong_parameter_is_named(
    client: httpx.AsyncClient, route: str, parameters: dict[str, Any], field: str
) -> None:
    answer = await get(client, route, params=parameters)
    assert (answer.status_code, problem_of(answer)) == (422, "bad-parameter")
    assert field in {error["field"] for error in answer.json()["errors"]}


async def test_values_are_values_and_never_sql(client: httpx.AsyncClient) -> None:
    for value in ("'; drop table marts.fct_llm_calls; --", "%", "%(project_id)s", "{}", '"', "\\"):
        named = {"model": value, "tag": f"{value}:{value}", "group_by": f"tag:{value}"}
        answer = await get(client, "breakdown", params=named | {"from": "2026-10-28"})
        assert (answer.status_code, answer.json()["rows"]) == (200, [])


async def test_a_question_that_takes_too_long_is_given_up(
    settings: Settings, ledger: Ledger
) -> None:
    hurried = settings.model_copy(update={"query_timeout_seconds": 1})
    with psycopg.connect(ledger.database_url) as connection:
        connection.execute("lock table marts.fct_model_usage_daily in access exclusive mode")
        async with serving(hurried) as client:
            client.headers["Authorization"] = f"Bearer {ledger.a.key}"
            answer = await get(client, "overview")
    assert (answer.status_code, problem_of(answer)) == (504, "query-timeout")


async def test_the_bins_of_the_api_are_those_of_the_marts(ledger: Ledger) -> None:
    with psycopg.connect(ledger.database_url) as connection:
        (ours,) = connection.execute(
            "select count(*) from marts.fct_llm_calls as calls left join marts.fct_latency_minutely"
            " as bins on bins.project_id = calls.project_id and bins.metric = 'duration'"
            " and bins.usage_minute = date_trunc('minute', calls.started_at)"
            " and bins.bin_index = ceil(ln(calls.duration_seconds) / ln(%s::float8))::int"
            " where bins.bin_index is null",
            [GAMMA],
        ).fetchone() or (None,)  # fmt: skip
    assert ours == 0
