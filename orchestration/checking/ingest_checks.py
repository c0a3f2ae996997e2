"""Checks on the flow of events, cheap enough for a sensor: one question to Redis, few to Postgres.

They are needed most when nothing is built, for that is when the flow has stopped. So no run is
launched for them: a sensor reports the outcome itself, when it changes and else once an hour.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg
import psycopg

from ingest_api.database.dead_letters import summarise_open
from ingest_api.stream import REDIS_ERRORS, StreamError, StreamStats
from orchestration.checking.freshness import (
    FCT_LLM_CALLS,
    MARTS_ARE_FRESH,
    PAGES_ARE_FRESH,
    RAW_IS_FRESH,
    judge_freshness,
)
from orchestration.checking.results import AssetOutcome, check_specs, store_results
from orchestration.loading.assets import DEAD_LETTERS, EVENTS_STREAM, LLM_EVENTS
from orchestration.reporting.assets import REPORT_SITE_KEY
from orchestration.reporting.pages import ReportPages
from orchestration.resources import EventStream, Warehouse
from quality.suites import Outcome, Rule, Severity

MAX_UNLOADED_SECONDS: Final = 60.0
REPEAT_AFTER: Final = timedelta(hours=1)
AWAY: Final = (StreamError, *REDIS_ERRORS, psycopg.OperationalError)

EVENTS_ARE_LOADED: Final = Rule(
    "accepted_events_are_loaded_within_a_minute",
    "No accepted event waits longer than 60 s for its raw row. The stream holds the events and "
    "nothing is lost, but every report is behind: look at the ticks of load_events_sensor.",
    "oldest_unloaded_seconds < 60",
)
NO_OPEN_DEAD_LETTERS: Final = Rule(
    "no_open_dead_letters",
    "No dead letter waits for an operator, who replays it or discards it with `llmscope "
    "dead-letters` or with replay_dead_letters_job and discard_dead_letters_job. What it reports "
    "is in no figure. The sample lists the newest dead_letter_id.",
    "replayed_at is not null or discarded_at is not null",
    Severity.WARN,
)


def judge_stream(stats: StreamStats) -> AssetOutcome:
    """Whether the oldest event that waits is young enough; counts all events that wait if not."""
    if stats.oldest_unloaded_seconds < MAX_UNLOADED_SECONDS:
        return AssetOutcome(EVENTS_STREAM, Outcome(EVENTS_ARE_LOADED, is_passed=True))
    ratio = stats.lag_event_count / max(stats.accepted_event_count, 1)
    outcome = Outcome(
        EVENTS_ARE_LOADED,
        is_passed=False,
        failed_count=stats.lag_event_count,
        failed_ratio=ratio,
    )
    return AssetOutcome(EVENTS_STREAM, outcome)


def judge_dead_letters(connection: psycopg.Connection) -> AssetOutcome:
    """Whether all dead letters are settled."""
    letters = summarise_open(connection)
    outcome = Outcome(
        NO_OPEN_DEAD_LETTERS,
        is_passed=letters.open_count == 0,
        failed_count=letters.open_count,
        failed_ratio=letters.open_count / max(letters.letter_count, 1),
        sample_ids=tuple(map(str, letters.newest_ids)),
    )
    return AssetOutcome(DEAD_LETTERS, outcome, {"top_reasons": dict(letters.reasons)})


@dataclass(frozen=True)
class Reported:
    """The sensor's memory: what it last reported, and when."""

    at: datetime
    is_passed: dict[str, bool]

    @classmethod
    def parse(cls, cursor: str | None) -> "Reported":
        """From a cursor; without one, nothing was ever reported."""
        if not cursor:
            return cls(datetime.min.replace(tzinfo=UTC), {})
        content = json.loads(cursor)
        return cls(datetime.fromisoformat(content["at"]), content["is_passed"])

    def __str__(self) -> str:
        return json.dumps({"at": self.at.isoformat(), "is_passed": self.is_passed})


def is_news(found: Iterable[AssetOutcome], reported: Reported, now: datetime) -> bool:
    """Whether an outcome differs from the one reported last, or that is an hour old."""
    return now - reported.at >= REPEAT_AFTER or _is_passed(found) != reported.is_passed


def _is_passed(found: Iterable[AssetOutcome]) -> dict[str, bool]:
    return {one.outcome.rule.name: one.outcome.is_passed for one in found}


@dg.multi_asset_check(
    name="ingest_flow",
    specs=[
        *check_specs(EVENTS_STREAM, [EVENTS_ARE_LOADED]),
        *check_specs(DEAD_LETTERS, [NO_OPEN_DEAD_LETTERS]),
        *check_specs(LLM_EVENTS, [RAW_IS_FRESH]),
        *check_specs(FCT_LLM_CALLS, [MARTS_ARE_FRESH]),
        *check_specs(REPORT_SITE_KEY, [PAGES_ARE_FRESH]),
    ],
)
def ingest_flow(
    context: dg.AssetCheckExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    event_stream: dg.ResourceParam[EventStream],
    report_pages: dg.ResourceParam[ReportPages],
) -> Iterator[dg.AssetCheckResult]:
    """Look at the flow now. The sensor does so every 30 s; this serves those who ask by hand."""
    found = look(warehouse, event_stream, context.instance, report_pages)
    with warehouse.borrow() as connection:
        store_results(connection, found, context.run.run_id)
    yield from (one.check_result() for one in found)


@dg.sensor(
    name="ingest_checks_sensor",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Checks that events flow: each hop is fresh enough, no dead letter is open.",
)
def ingest_checks_sensor(
    context: dg.SensorEvaluationContext,
    warehouse: dg.ResourceParam[Warehouse],
    event_stream: dg.ResourceParam[EventStream],
    report_pages: dg.ResourceParam[ReportPages],
) -> dg.SensorResult | dg.SkipReason:
    """One tick: look, and report what is news."""
    now = datetime.now(UTC)
    try:
        found = look(warehouse, event_stream, context.instance, report_pages)
        if not is_news(found, Reported.parse(context.cursor), now):
            return dg.SkipReason("Nothing has changed since the last report.")
        with warehouse.borrow() as connection:
            store_results(connection, found)
    except AWAY as error:
        return dg.SkipReason(f"Redis or the database is away ({type(error).__name__}).")
    return dg.SensorResult(
        asset_events=[one.evaluation() for one in found],
        cursor=str(Reported(now, _is_passed(found))),
    )


def look(
    warehouse: Warehouse,
    event_stream: EventStream,
    instance: dg.DagsterInstance,
    report_pages: ReportPages,
) -> list[AssetOutcome]:
    """The outcomes of all checks on the flow."""
    stream = judge_stream(event_stream.stats())
    now = datetime.now(UTC)
    with warehouse.borrow() as connection:
        return [
            stream,
            judge_dead_letters(connection),
            *judge_freshness(connection, instance, report_pages, now),
        ]
