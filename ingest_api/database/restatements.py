"""Requests to price calls anew: the one place that checks, previews, makes and lists them."""

from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import class_row

from ingest_api.database.load_lock import stamp

INSERT: Final = """
insert into app.cost_restatements
    (restatement_id, project_id, period_start, period_end, provider_name, model, reason,
     requested_by, requested_at)
values
    (%(restatement_id)s, %(project_id)s, %(period_start)s, %(period_end)s, %(provider_name)s,
     %(model)s, %(reason)s, %(requested_by)s, %(requested_at)s)
"""
# The views price a call as of the newest request that covers it: for this one, the one just made.
PREVIEW: Final = """
select
    count(*) as call_count,
    count(*) filter (
        where (built.total_cost_usd, built.unpriced_reason)
            is distinct from (anew.total_cost_usd, anew.unpriced_reason)
    ) as changed_call_count,
    sum(built.total_cost_usd) as before_cost_usd,
    sum(anew.total_cost_usd) as after_cost_usd,
    count(*) filter (where built.total_cost_usd is null) as before_unpriced_call_count,
    count(*) filter (where anew.total_cost_usd is null) as after_unpriced_call_count
from intermediate.int_llm_calls_costed as anew
inner join marts.fct_llm_calls as built using (project_id, event_id, started_at)
where anew.started_at >= %(period_start)s and anew.started_at < %(period_end)s
    and anew.priced_as_of = %(requested_at)s
"""
LIST: Final = """
select r.restatement_id, r.requested_at, r.requested_by, r.reason, r.period_start, r.period_end,
    p.name as project, r.provider_name, r.model
from app.cost_restatements as r left join app.projects as p using (project_id)
order by r.requested_at
"""
TOTALS: Final = """
select restatement_id, count(*), sum(before_cost_usd), sum(after_cost_usd)
from marts.fct_cost_restatements group by restatement_id
"""


class RestatementError(ValueError):
    """A request that means nothing; the message says what to correct."""


@dataclass(frozen=True)
class Restatement:
    """Which calls to price anew with the prices known now, why, and who wants it.

    Attributes:
        period_start: First `started_at`, inclusive.
        period_end: Last `started_at`, exclusive.
        provider_name: None means all; `model` and `project_id` likewise.

    Raises:
        RestatementError: a time without a zone, an empty period, no reason or nobody.
    """

    period_start: datetime
    period_end: datetime
    reason: str
    requested_by: str
    provider_name: str | None = None
    model: str | None = None
    project_id: UUID | None = None

    def __post_init__(self) -> None:
        if self.period_start.tzinfo is None or self.period_end.tzinfo is None:
            raise RestatementError("Give the period with its offset, as 2026-11-01T00:00:00Z.")
        if self.period_end <= self.period_start:
            raise RestatementError("The period must end after it begins.")
        if not self.reason.strip() or not self.requested_by.strip():
            raise RestatementError("Say why, and who wants it: both stay beside the new figures.")


@dataclass(frozen=True)
class Preview:
    """What a request would change: all calls that it covers, before and after."""

    call_count: int
    changed_call_count: int
    before_cost_usd: Decimal | None
    after_cost_usd: Decimal | None
    before_unpriced_call_count: int
    after_unpriced_call_count: int


@dataclass
class StoredRestatement:
    """A request, and what it has changed so far."""

    restatement_id: UUID
    requested_at: datetime
    requested_by: str
    reason: str
    period_start: datetime
    period_end: datetime
    project: str | None
    provider_name: str | None
    model: str | None
    changed_call_count: int = 0
    before_cost_usd: Decimal | None = None
    after_cost_usd: Decimal | None = None


def request_restatement(connection: psycopg.Connection, restatement: Restatement) -> UUID:
    """Store the request; the next build of the marts prices the calls and notes what changed."""
    with connection.transaction():
        return _insert(connection, restatement, stamp(connection))


def preview_restatement(connection: psycopg.Connection, restatement: Restatement) -> Preview:
    """What the request would change now; it is not stored.

    Raises:
        psycopg.errors.UndefinedTable: the marts were never built.
    """
    with connection.transaction(force_rollback=True):
        # Without the lock: this request is never committed, and loaders must not wait for it.
        row = connection.execute("select clock_timestamp()").fetchone()
        assert row is not None  # noqa: S101 - a select without from gives one row
        _insert(connection, restatement, row[0])
        with connection.cursor(row_factory=class_row(Preview)) as cursor:
            values = {**asdict(restatement), "requested_at": row[0]}
            preview = cursor.execute(PREVIEW, values).fetchone()
    assert preview is not None  # noqa: S101 - an aggregate gives one row
    return preview


def list_restatements(connection: psycopg.Connection) -> list[StoredRestatement]:
    """All requests, oldest first."""
    with connection.cursor(row_factory=class_row(StoredRestatement)) as cursor:
        stored = cursor.execute(LIST).fetchall()
    by_id = {one.restatement_id: one for one in stored}
    if _is_built(connection):
        for restatement_id, count, before, after in connection.execute(TOTALS):
            one = by_id[restatement_id]
            one.changed_call_count, one.before_cost_usd, one.after_cost_usd = count, before, after
    return stored


def _insert(
    connection: psycopg.Connection, restatement: Restatement, requested_at: datetime
) -> UUID:
    restatement_id = uuid4()
    stamped = {"restatement_id": restatement_id, "requested_at": requested_at}
    connection.execute(INSERT, {**asdict(restatement), **stamped})
    return restatement_id


def _is_built(connection: psycopg.Connection) -> bool:
    row = connection.execute("select to_regclass('marts.fct_cost_restatements')").fetchone()
    return row is not None and row[0] is not None
