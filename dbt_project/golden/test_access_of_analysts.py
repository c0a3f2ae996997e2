"""An analyst of one tenant, by SQL: not one row of another, whatever relation there is."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from dbt_project.golden.analysts import fresh_database
from dbt_project.golden.tenants import ACME, RIVAL, Tenant, fill
from ingest_api.database.analysts import create_analyst, drop_analyst
from tests.running import RunningPlatform

SHARED_SCHEMAS = ["marts", "reports", "pricing"]
# Closed to analysts, and why.
CLOSED = {
    "pricing.model_matches": "names of models that any tenant used, and no tenant",
    "pricing.catalog_refreshes": "counts of all tenants together",
}
# Relations in which the traffic of this test leaves no row of a tenant.
EMPTY: set[str] = set()
RELATIONS = """
select n.nspname || '.' || c.relname
from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
where n.nspname = any(%s) and c.relkind in ('r', 'p', 'v', 'm', 'f') order by 1
"""


@pytest.fixture(scope="module")
def ledger(services: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with fresh_database(services.database_url, "analysts_access") as url:
        fill(url, tmp_path_factory.mktemp("dbt"))
        yield url


@pytest.fixture(scope="module")
def analyst(ledger: str) -> Iterator[str]:
    """URL of an analyst of ACME."""
    with psycopg.connect(ledger, autocommit=True) as connection:
        password = create_analyst(connection, "analyst_of_acme", ACME.name)
        host = urlsplit(ledger).netloc.rpartition("@")[2]
        yield urlsplit(ledger)._replace(netloc=f"analyst_of_acme:{password}@{host}").geturl()
        drop_analyst(connection, "analyst_of_acme")


def query(url: str, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement.encode(), parameters or None).fetchall()


def relations(url: str, *schemas: str) -> list[str]:
    return [name for (name,) in query(url, RELATIONS, list(schemas or SHARED_SCHEMAS))]


def rows_of(url: str, relation: str, tenant: Tenant) -> int:
    """Rows that have anything of a tenant in any column."""
    marked = " or ".join(["t::text like %s"] * len(tenant.marks))
    statement = f"select count(*) from {relation} as t where {marked}"
    [(count,)] = query(url, statement, *(f"%{mark}%" for mark in tenant.marks))
    return int(count)


def test_no_relation_shows_a_row_of_another_tenant(ledger: str, analyst: str) -> None:
    found = relations(ledger)
    assert len(found) > 35
    shown, hidden = set(), set()
    for relation in found:
        if relation in CLOSED:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                query(analyst, f"select 1 from {relation}")
            continue
        assert rows_of(analyst, relation, RIVAL) == 0, relation
        hidden |= {relation} if rows_of(ledger, relation, RIVAL) else set()
        if rows_of(analyst, relation, ACME):
            shown.add(relation)
            assert rows_of(analyst, relation, ACME) == rows_of(ledger, relation, ACME), relation
    # The traffic must have put the other tenant wherever a row can be, or nothing is proven.
    assert set(found) - hidden - set(CLOSED) == EMPTY
    assert set(found) - shown - set(CLOSED) == EMPTY


def test_list_prices_are_for_everyone_and_negotiated_ones_for_their_tenant(
    ledger: str, analyst: str
) -> None:
    count = "select count(*) from pricing.model_prices where tenant_id is null"
    assert query(analyst, count) == query(ledger, count) != [(0,)]
    tenants = "select distinct tenant_id from pricing.model_prices where tenant_id is not null"
    assert query(analyst, tenants) == [(ACME.tenant_id,)]


def test_nothing_else_is_readable(ledger: str, analyst: str) -> None:
    others = relations(ledger, "app", "raw", "staging", "intermediate", "public")
    assert len(others) > 20
    for relation in others:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(analyst, f"select 1 from {relation}")
    chunks = query(
        ledger,
        """select format('%I.%I', chunk_schema, chunk_name) from timescaledb_information.chunks""",
    )
    assert chunks
    for (chunk,) in chunks:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(analyst, f"select 1 from {chunk}")


@pytest.mark.parametrize(
    "statement",
    [
        "insert into marts.fct_llm_calls select * from marts.fct_llm_calls",
        "update marts.fct_llm_calls set total_cost_usd = 0",
        "delete from pricing.model_prices",
        "truncate marts.fct_llm_calls",
        "create table marts.mine (n int)",
        "create view reports.mine as select 1",
        "alter table marts.fct_llm_calls disable row level security",
        "drop policy llmscope_bi on marts.fct_llm_calls",
        "insert into app.bi_users values ('analyst_of_acme', gen_random_uuid())",
        "select app.share_with_bi('raw.llm_events')",
        "set session authorization llmscope",
        "set role llmscope",
        "alter role analyst_of_acme superuser",
    ],
)
def test_an_analyst_changes_nothing(analyst: str, statement: str) -> None:
    with psycopg.connect(analyst, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "set role llmscope_bi",
        "set row_security = on",
        "set search_path = pg_temp, marts",
        f"set llmscope.tenant_id = '{RIVAL.tenant_id}'",
        "create function pg_temp.bi_tenant() returns uuid language sql as "
        f"$$ select '{RIVAL.tenant_id}'::uuid $$",
    ],
)
def test_no_setting_changes_the_tenant(analyst: str, statement: str) -> None:
    with psycopg.connect(analyst, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        connection.execute(statement.encode())
        for relation in ("marts.fct_llm_calls", "reports.rpt_usage_daily"):
            seen = connection.execute(
                f"select distinct tenant_id from {relation}".encode()
            ).fetchall()
            assert seen == [(ACME.tenant_id,)]


def test_a_leaking_function_in_a_filter_sees_only_rows_of_its_tenant(analyst: str) -> None:
    with psycopg.connect(analyst, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        connection.execute(
            """create function pg_temp.leak(anyelement) returns boolean language plpgsql
               cost 0.0000001 as $$ begin raise notice '%', $1; return true; end $$"""
        )
        notices: list[str] = []
        connection.add_notice_handler(lambda d: notices.append(d.message_primary or ""))
        for relation in ("marts.fct_usage_daily", "reports.rpt_usage_daily"):
            connection.execute(f"select * from {relation} where pg_temp.leak(project_id)".encode())
    assert set(notices) == {str(ACME.project_id)}


def test_a_relation_that_nobody_thought_of_stays_closed(ledger: str, analyst: str) -> None:
    forgotten = {
        "marts.forgotten": "create table marts.forgotten as select * from marts.fct_usage_daily",
        "marts.without_tenant": "create table marts.without_tenant (n int)",
        "reports.by_hand": "create view reports.by_hand as select * from marts.fct_usage_daily",
    }
    with psycopg.connect(ledger, autocommit=True) as connection:
        for relation, statement in forgotten.items():
            connection.execute(statement.encode())
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                query(analyst, f"select 1 from {relation}")
        connection.execute("select app.share_all_with_bi()")
    assert rows_of(analyst, "marts.forgotten", RIVAL) == 0
    assert rows_of(analyst, "marts.forgotten", ACME) > 0
    for relation in ("marts.without_tenant", "reports.by_hand"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            query(analyst, f"select 1 from {relation}")
    with psycopg.connect(ledger, autocommit=True) as connection:
        for relation, statement in forgotten.items():
            kind = sql.SQL("view" if "create view" in statement else "table")
            name = sql.Identifier(*relation.split("."))
            connection.execute(sql.SQL("drop {} {}").format(kind, name))


def test_a_role_of_the_group_without_a_tenant_sees_nothing(ledger: str) -> None:
    with psycopg.connect(ledger, autocommit=True) as connection:
        connection.execute("set role llmscope_bi")
        for relation in ("marts.fct_llm_calls", "reports.rpt_usage_daily"):
            statement = f"select count(*) from {relation}"
            assert connection.execute(statement.encode()).fetchall() == [(0,)]
