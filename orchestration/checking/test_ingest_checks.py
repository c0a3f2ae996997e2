"""The checks on the flow of events, on a real Redis and a real database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
import redis

from ingest_api.stream import STREAM, StreamStats
from orchestration.checking.freshness import MARTS_ARE_FRESH, PAGES_ARE_FRESH, RAW_IS_FRESH
from orchestration.checking.ingest_checks import (
    EVENTS_ARE_LOADED,
    NO_OPEN_DEAD_LETTERS,
    Reported,
    ingest_checks_sensor,
    ingest_flow,
    is_news,
    judge_stream,
)
from orchestration.checking.results import KEPT_DAYS, store_results
from orchestration.reporting.pages import ReportPages
from orchestration.resources import EventStream, Warehouse

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
FRESHNESS = {RAW_IS_FRESH.name, MARTS_ARE_FRESH.name, PAGES_ARE_FRESH.name}
INSERT_LETTER = """
insert into raw.dead_letters (stream, entry_id, payload, rejected_reason)
values ('llm_events', %s, '', 'because') returning dead_letter_id::text
"""


def stats(oldest_unloaded_seconds: float) -> StreamStats:
    return StreamStats(2, 100, 25, 0, oldest_unloaded_seconds, 1.0)


@pytest.mark.parametrize(
    ("oldest", "is_passed", "failed_count", "failed_ratio"),
    [(0.0, True, 0, 0.0), (59.9, True, 0, 0.0), (60.0, False, 25, 0.25), (9e6, False, 25, 0.25)],
)
def test_events_may_wait_for_a_minute(
    oldest: float, is_passed: bool, failed_count: int, failed_ratio: float
) -> None:
    outcome = judge_stream(stats(oldest)).outcome

    assert (outcome.is_passed, outcome.failed_count, outcome.failed_ratio) == (
        is_passed,
        failed_count,
        failed_ratio,
    )


@pytest.mark.parametrize(
    ("minutes_ago", "was_passed", "oldest", "expected"),
    [
        (59, True, 0.0, False),
        (59, True, 99.0, True),
        (59, False, 99.0, False),
        (60, True, 0.0, True),
    ],
)
def test_news_is_what_changed_or_was_not_said_for_an_hour(
    minutes_ago: int, was_passed: bool, oldest: float, expected: bool
) -> None:
    reported = Reported(NOW - timedelta(minutes=minutes_ago), {EVENTS_ARE_LOADED.name: was_passed})

    assert is_news([judge_stream(stats(oldest))], Reported.parse(str(reported)), NOW) is expected


class Ticks:
    """Runs the sensor tick after tick, keeping its cursor as the daemon does."""

    def __init__(self, database_url: str, redis_url: str, home: Path) -> None:
        self.instance = dg.DagsterInstance.ephemeral()
        self.resources = {
            "warehouse": Warehouse(database_url=database_url),
            "event_stream": EventStream(redis_url=redis_url),
            "report_pages": ReportPages(home=str(home), public_url=""),
        }
        self.cursor: str | None = None

    def evaluate(self) -> Any:
        """Run once."""
        with dg.build_sensor_context(
            self.instance, cursor=self.cursor, resources=self.resources
        ) as context:
            data = ingest_checks_sensor.evaluate_tick(context)
        self.cursor = data.cursor or self.cursor
        return data

    def tick(self) -> dict[str, bool]:
        """Run once; gives what was reported."""
        return {
            event.check_name: event.passed
            for event in self.evaluate().asset_events
            if event.check_name not in FRESHNESS
        }


@pytest.mark.parametrize("away", ["database", "redis"])
def test_a_tick_skips_and_keeps_its_cursor_while_redis_or_the_database_is_away(
    database_url: str, redis_url: str, tmp_path: Path, away: str
) -> None:
    ticks = Ticks(database_url, redis_url, tmp_path)
    ticks.tick()
    cursor = ticks.cursor
    if away == "redis":
        ticks.resources["event_stream"] = EventStream(redis_url="redis://127.0.0.1:1/0")
    else:
        nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
        ticks.resources["warehouse"] = Warehouse(database_url=nowhere)

    assert "away" in ticks.evaluate().skip_message
    assert ticks.cursor == cursor


def test_the_sensor_reports_changes_alone(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    ticks = Ticks(database_url, redis_url, tmp_path)
    events_are_loaded, letters = EVENTS_ARE_LOADED.name, NO_OPEN_DEAD_LETTERS.name

    assert ticks.tick() == {events_are_loaded: True, letters: True}
    assert ticks.tick() == {}
    with psycopg.connect(database_url) as connection:
        connection.execute(INSERT_LETTER, ["1-0"])
    assert ticks.tick() == {events_are_loaded: True, letters: False}
    with redis.Redis.from_url(redis_url) as client:
        client.xadd(STREAM, {"events": "[]"}, id="1-0")
    assert ticks.tick() == {events_are_loaded: False, letters: False}
    with psycopg.connect(database_url) as connection:
        connection.execute("update raw.dead_letters set discarded_at = now()")
    assert ticks.tick() == {events_are_loaded: False, letters: True}
    assert ticks.tick() == {}
    with psycopg.connect(database_url) as connection:
        stored = connection.execute("select count(*) from app.check_results").fetchone()
    assert stored == (4 * (2 + len(FRESHNESS)),)


def test_open_letters_are_counted_and_named(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(database_url) as connection:
        ids = [connection.execute(INSERT_LETTER, [f"{n}-0"]).fetchone()[0] for n in range(4)]
        connection.execute("update raw.dead_letters set replayed_at = now() where entry_id = '3-0'")
    definitions = dg.Definitions(
        asset_checks=[ingest_flow],
        jobs=[dg.define_asset_job("job", dg.AssetSelection.checks(ingest_flow))],
        resources=Ticks(database_url, redis_url, tmp_path).resources,
    )

    result = definitions.resolve_job_def("job").execute_in_process()

    found = {one.check_name: one for one in result.get_asset_check_evaluations()}
    letters = found["no_open_dead_letters"]
    assert (letters.passed, letters.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert letters.metadata["failed_count"].value == 3
    assert letters.metadata["failed_ratio"].value == 0.75
    assert letters.metadata["sample_ids"].value == list(reversed(ids[:3]))
    assert letters.metadata["top_reasons"].value == {"because": 3}


def test_stored_results_are_dropped_after_a_month(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        store_results(connection, [judge_stream(stats(0.0))])
        connection.execute(
            "update app.check_results set checked_at = now() - %s * interval '1 day'",
            [KEPT_DAYS + 1],
        )
        store_results(connection, [judge_stream(stats(99.0))])

        kept = connection.execute("select is_passed from app.check_results").fetchall()

    assert kept == [(False,)]
