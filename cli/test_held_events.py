"""`llmscope held-events`, on marts that dbt built."""

import json
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from cli.conftest import RunCli
from dbt_project.golden.ledger import NOON, build, create_project, event, insert_events

SEMANTICS, TIER = "usage_semantics_is_known", "service_tier_is_known"
WITHOUT_TESTS = ("--exclude-resource-type", "test")


@pytest.mark.timeout(300)  # dbt
def test_held_events_are_listed_released_and_gone(
    database_url: str, tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    first, second = (event(usage_semantics="exclusive") for _ in range(2))
    other = event(service_tier="turbo", received_at=NOON - timedelta(hours=1))
    with psycopg.connect(database_url, autocommit=True) as connection:
        create_project(connection)
        insert_events(connection, [event(), first, second, other])
    build(database_url, tmp_path, NOON + timedelta(hours=1), *WITHOUT_TESTS)

    def listed(*arguments: str) -> list[str]:
        shown = json.loads(run_cli("held-events", "list", "--json", *arguments).stdout)
        return [one["event_id"] for one in shown]

    exclusive = sorted(str(one["event_id"]) for one in (first, second))
    assert listed() == [*exclusive, str(other["event_id"])]
    assert listed("--rule", TIER) == [str(other["event_id"])]
    assert SEMANTICS in run_cli("held-events", "list", "--limit", "1").stdout

    one = ["held-events", "release", SEMANTICS, "--event", exclusive[0], "--reason", "inclusive"]
    assert "Release 1 events?" in run_cli(*one, stdin=b"n\n").stdout
    assert listed("--rule", SEMANTICS) == exclusive
    assert run_cli(*one, "--released-by", "data", stdin=b"y\n").exit_code == 0
    assert listed("--rule", SEMANTICS) == exclusive[1:]
    again = run_cli(*one, "--yes")
    assert (again.exit_code, "No held event" in again.stderr) == (1, True)
    with psycopg.connect(database_url) as connection:
        released = "select event_id::text, reason, released_by from app.held_event_releases"
        assert connection.execute(released).fetchall() == [(exclusive[0], "inclusive", "data")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["release", SEMANTICS, "--reason", " "], "Say why"),
        (["release", SEMANTICS, "--reason", "why"], "never built"),
        (["release", SEMANTICS, "--reason", "why", "--project", "nobody"], "no project nobody"),
        (["list"], "never built"),
    ],
)
def test_what_means_nothing_says_what_to_correct(
    arguments: list[str],
    words: str,
    database_url: str,
    run_cli: RunCli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    ended = run_cli("held-events", *arguments)
    assert ended.exit_code == 1
    assert words in ended.stderr
