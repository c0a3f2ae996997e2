"""`llmscope restate`, on marts that dbt built."""

import json
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from cli.conftest import RunCli
from dbt_project.golden.ledger import NOON, build, create_project, event, insert_events
from orchestration.pricing.catalog import bundled_catalog
from orchestration.pricing.refresh import refresh_prices

PERIOD = ("--from", "2026-11-01T00:00:00Z", "--to", "2026-12-01T00:00:00Z")
OVERRIDE = """
insert into pricing.model_prices
    (catalog_provider, catalog_model, token_kind, usd_per_million, valid_from, source,
     catalog_version)
select catalog_provider, catalog_model, token_kind, 10 * usd_per_million, valid_from, source, 'new'
from pricing.model_prices where catalog_model = 'gpt-4o' and service_tier = 'default'
"""


@pytest.fixture
def priced_call(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> psycopg.Connection[tuple[object, ...]]:
    """Marts with one call of 1,000 input tokens, whose price is tenfold since."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    connection = psycopg.connect(database_url, autocommit=True)
    create_project(connection)
    insert_events(connection, [event(input_tokens=1000, output_tokens=0)])
    refresh_prices(connection, bundled_catalog(), NOON + timedelta(hours=1))
    build(database_url, tmp_path, NOON + timedelta(hours=1))
    connection.execute(OVERRIDE)
    build(database_url, tmp_path, NOON + timedelta(hours=1))
    return connection


@pytest.mark.timeout(300)  # twice dbt
def test_a_preview_shows_before_and_after_and_a_request_is_stored(
    priced_call: psycopg.Connection[tuple[object, ...]], run_cli: RunCli
) -> None:
    asked = ["restate", "request", *PERIOD, "--model", "gpt-4o", "--reason", "new contract"]
    shown = run_cli(*asked, "--preview")
    assert "covers 1 calls and changes 1" in shown.stdout
    assert "before: 0.002500 USD" in shown.stdout
    assert "after: 0.025000 USD" in shown.stdout
    assert json.loads(run_cli("restate", "list", "--json").stdout) == []

    assert run_cli(*asked, "--requested-by", "finance", "--yes").exit_code == 0
    (stored,) = json.loads(run_cli("restate", "list", "--json").stdout)
    assert (stored["reason"], stored["requested_by"]) == ("new contract", "finance")
    assert (stored["model"], stored["provider_name"]) == ("gpt-4o", None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "2026-12-01T00:00:00Z", "--to", "2026-11-01T00:00:00Z"], "must end after"),
        (["--from", "2026-11-01", "--to", "2026-12-01T00:00:00Z"], "--from is"),
        ([*PERIOD, "--project", "nobody"], "There is no project nobody"),
        ([*PERIOD], "never built"),
    ],
)
def test_a_request_that_means_nothing_says_what_to_correct(
    arguments: list[str],
    words: str,
    database_url: str,
    run_cli: RunCli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    ended = run_cli("restate", "request", *arguments, "--reason", "why")
    assert ended.exit_code == 1
    assert words in ended.stderr
