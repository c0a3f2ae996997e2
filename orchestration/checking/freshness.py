"""How far each hop is behind the one before it, judged against what is promised.

docs/quality.md has the table of hops and limits. The hop into the stream is the API's answer
itself, and that from the stream to raw has a second check, on what waits, in `ingest_checks`.
"""

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import dagster as dg
import psycopg

from orchestration.checking.results import AssetOutcome
from orchestration.loading.assets import LLM_EVENTS
from orchestration.reporting.assets import REPORT_SITE_KEY
from orchestration.reporting.marts import read_marts_version, refresh_reason
from orchestration.reporting.pages import ReportPages
from orchestration.reporting.publishing import read_published, read_shell_fingerprint
from orchestration.transforming.triggers import LOADED_BEFORE_TAG
from quality.suites import Outcome, Rule, Severity

FCT_LLM_CALLS: Final = dg.AssetKey(["marts", "fct_llm_calls"])
RAW_SECONDS: Final = 5
RAW_TOLERATED_RATIO: Final = 0.05
MARTS_SECONDS: Final = 90
# Builds of the marts follow each other by a minute, refreshes of the pages by two;
# a page older than this while the marts go on means that refreshes fail.
PAGES_SECONDS: Final = 900
# Enough runs that one of them succeeded, unless builds fail for long.
RECENT_BUILDS: Final = 20
BEFORE_ALL: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

RAW_IS_FRESH: Final = Rule(
    "raw_rows_follow_their_events_within_5_s",
    "Of the rows that were loaded in the last 5 minutes, 95 % were loaded within 5 s after the API "
    "had received them. The loader is behind, or was away: look at the ticks of "
    "load_events_sensor.",
    f"loaded_at <= received_at + interval '{RAW_SECONDS} seconds'",
    Severity.WARN,
    RAW_TOLERATED_RATIO,
)
MARTS_ARE_FRESH: Final = Rule(
    "marts_follow_raw_rows_within_90_s",
    "No raw row waits longer than 90 s for the marts. Builds take too long or fail: look at the "
    "runs of build_marts_job. Nothing is lost, but reports and alerts are behind.",
    f"age_seconds <= {MARTS_SECONDS}",
    Severity.WARN,
)
PAGES_ARE_FRESH: Final = Rule(
    "report_pages_show_current_marts",
    f"The pages show the marts as they are, or were published less than {PAGES_SECONDS} s ago. "
    "Else refreshes fail: look at the runs of refresh_report_site_job.",
    f"age_seconds <= {PAGES_SECONDS}",
    Severity.WARN,
)
LATE_ROWS: Final = """
select count(*), count(*) filter (where not ({truth}))
from raw.llm_events where loaded_at > %s::timestamptz - interval '5 minutes'
"""
OLDEST_UNBUILT: Final = """
select min(loaded_at), count(*) from raw.llm_events where loaded_at >= %s
"""


def judge_raw(connection: psycopg.Connection, now: datetime) -> AssetOutcome:
    """Whether rows follow their events fast enough."""
    statement = LATE_ROWS.format(truth=RAW_IS_FRESH.truth).encode()
    row = connection.execute(statement, [now]).fetchone()
    loaded_count, late_count = row or (0, 0)
    ratio = late_count / max(loaded_count, 1)
    outcome = Outcome(
        RAW_IS_FRESH,
        is_passed=ratio <= RAW_TOLERATED_RATIO,
        failed_count=late_count,
        failed_ratio=ratio,
        checked_count=loaded_count,
    )
    return AssetOutcome(LLM_EVENTS, outcome)


def judge_marts(
    connection: psycopg.Connection, built_before: datetime, now: datetime
) -> AssetOutcome:
    """Whether the oldest row that no build has taken is young enough.

    Args:
        connection: To the ledger.
        built_before: Rows loaded before it are in the marts.
        now: When this is asked.
    """
    row = connection.execute(OLDEST_UNBUILT, [built_before]).fetchone()
    oldest, waiting_count = row or (None, 0)
    age_seconds = (now - oldest).total_seconds() if oldest else 0.0
    is_passed = age_seconds <= MARTS_SECONDS
    outcome = Outcome(MARTS_ARE_FRESH, is_passed, failed_count=0 if is_passed else waiting_count)
    return AssetOutcome(FCT_LLM_CALLS, outcome, {"age_seconds": age_seconds})


def newest_bound(instance: dg.DagsterInstance) -> datetime:
    """The load time up to which the newest build that succeeded has taken all rows."""
    succeeded = dg.RunsFilter(job_name="build_marts_job", statuses=[dg.DagsterRunStatus.SUCCESS])
    return bound_of(instance.get_run_records(succeeded, limit=RECENT_BUILDS))


def bound_of(builds: Iterable[dg.RunRecord]) -> datetime:
    """The latest bound; a build that was started by hand took its own after it was asked for."""
    tags = ((one.dagster_run.tags.get(LOADED_BEFORE_TAG), one.create_timestamp) for one in builds)
    bounds = (datetime.fromisoformat(tag) if tag else asked_at for tag, asked_at in tags)
    return max(bounds, default=BEFORE_ALL)


def judge_pages(connection: psycopg.Connection, report_pages: ReportPages) -> AssetOutcome:
    """Whether the pages show the marts, or were published lately."""
    folders = report_pages.folders
    published = read_published(folders)
    marts_version = read_marts_version(connection)
    shell = read_shell_fingerprint(folders)
    reason = refresh_reason(published, marts_version, shell) if marts_version else None
    age_seconds = time.time() - published.published_at if published else None
    is_recent = age_seconds is not None and age_seconds <= PAGES_SECONDS
    outcome = Outcome(PAGES_ARE_FRESH, is_passed=reason is None or is_recent)
    facts = {"age_seconds": age_seconds or 0.0, "state": reason or "the marts as they are"}
    return AssetOutcome(REPORT_SITE_KEY, outcome, facts)


def judge_freshness(
    connection: psycopg.Connection,
    instance: dg.DagsterInstance,
    report_pages: ReportPages,
    now: datetime,
) -> list[AssetOutcome]:
    """The outcomes of all hops behind the stream."""
    return [
        judge_raw(connection, now),
        judge_marts(connection, newest_bound(instance), now),
        judge_pages(connection, report_pages),
    ]
