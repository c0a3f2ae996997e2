"""When marts are built, and up to which load time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

from orchestration.load_order import read_loaded_before

# One bound for all steps of a run: prices are looked up for exactly the calls that dbt builds.
LOADED_BEFORE_TAG: Final = "llmscope/loaded_before"
MIN_INTERVAL: Final = timedelta(seconds=60)
MAX_RETRY_WAIT: Final = timedelta(minutes=10)
# One more failure in a row changes nothing: 60 s doubled four times is above `MAX_RETRY_WAIT`.
MAX_COUNTED_FAILURES: Final = 5

# By max and not by exists, for which the planner may read all rows in the hope of an early one.
HAS_WORK: Final = """
select (select max(loaded_at) from raw.llm_events where loaded_at >= %(since)s) is not null
    or exists (
        select from pricing.model_prices where source = 'override' and created_at >= %(since)s
    )
    or exists (select from app.cost_restatements where requested_at >= %(since)s)
    or exists (select from app.held_event_releases where released_at >= %(since)s)
    or exists (select from app.projects where rollup_tags_changed_at >= %(since)s)
"""
LONG_AGO: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True)
class LastBuild:
    """The newest run of the build.

    Attributes:
        ended_at: None while it is queued or runs.
        failure_count: Builds that failed in a row up to this one, at most `MAX_COUNTED_FAILURES`.
    """

    asked_at: datetime
    ended_at: datetime | None
    failure_count: int = 0


def skip_reason(last_build: LastBuild | None, has_work: bool, now: datetime) -> str | None:
    """Why no build starts now; null if one should.

    A failed build is tried again with the next rows, and without new rows after a wait that grows:
    its cause may have gone away, and the rows that it left unbuilt must not wait for traffic.
    The first build does not wait for rows: empty marts can be queried and shown.
    """
    if last_build is None:
        return None
    if not last_build.ended_at:
        return "A build is in flight; the next one takes its rows."
    if has_work:
        waits = now - last_build.asked_at < MIN_INTERVAL
        return "The last build was asked for less than a minute ago." if waits else None
    if last_build.failure_count:
        if now - last_build.ended_at >= retry_wait(last_build.failure_count):
            return None
        return f"The last build failed at {last_build.ended_at:%H:%M:%S} UTC; it is tried again."
    return "No row was loaded since the last build, and no cost is to be restated."


def retry_wait(failure_count: int) -> timedelta:
    """A minute after the first failure, twice as long after each further one, ten at most."""
    return min(MIN_INTERVAL * (1 << (failure_count - 1)), MAX_RETRY_WAIT)


def read_loaded_before_of_run(
    tags: Mapping[str, str], connection: psycopg.Connection[Any]
) -> datetime:
    """The bound in the run's tags; a run started by hand has none and takes the load lock."""
    tag = tags.get(LOADED_BEFORE_TAG)
    return datetime.fromisoformat(tag) if tag else read_loaded_before(connection)


def has_work_since(connection: psycopg.Connection[Any], cursor: str | None) -> bool:
    """Whether something came at or after the cursor, the bound of the last build.

    That is rows, a price that somebody set, a restatement, a release, or other tags to roll up by.
    """
    since = datetime.fromisoformat(cursor) if cursor else LONG_AGO
    row = connection.execute(HAS_WORK, {"since": since}).fetchone()
    return row is not None and bool(row[0])
