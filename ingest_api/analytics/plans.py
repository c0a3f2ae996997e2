"""Pure: what each route reads, and how it shows what it has read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.analytics.dimensions import Dimension
from ingest_api.analytics.measures import Column, Family
from ingest_api.analytics.parameters import (
    BreakdownParameters,
    OverviewParameters,
    TimeseriesParameters,
    TopParameters,
)
from ingest_api.analytics.periods import Interval, Period, boundaries, check_length
from ingest_api.analytics.problems import beyond
from ingest_api.analytics.shapes import (
    BUCKET_COLUMNS,
    IS_OTHER,
    Row,
    fill,
    totals,
    without_name,
)
from ingest_api.analytics.statements import Question, Statement, state

# Of an answer that is made in memory.
MAX_POINTS: Final = 10_000
MAX_ROWS: Final = 10_000
TOP_MODEL_FAMILIES: Final[tuple[Family, ...]] = ("calls", "errors", "cost", "unpriced")

Results = Sequence[list[Row]]


class Asked(NamedTuple):
    """Who asks, for which period, of a project with which tags.

    Attributes:
        newest_started_at: Of its calls; None where it has none.
    """

    project_id: UUID
    period: Period
    declared_tags: frozenset[str]
    newest_started_at: datetime | None = None

    @property
    def is_newest(self) -> bool:
        """Whether no call started after the period."""
        return self.newest_started_at is None or self.newest_started_at < self.period.end


@dataclass(frozen=True)
class Plan:
    """How one request is answered.

    Attributes:
        columns: Of the table that CSV and Parquet hold.
        table: Its rows, from the rows of each statement.
        body: The answer as JSON, from the same; it goes below `period`.
        is_streamed: Whether the table is the first statement's rows as they are, of any number.
    """

    statements: tuple[Statement, ...]
    columns: list[Column]
    table: Callable[[Results], list[Row]]
    body: Callable[[Results], dict[str, Any]]
    is_streamed: bool = False
    interval: Interval | None = None


def plan_overview(asked: Asked, wanted: OverviewParameters) -> Plan:
    """Totals of the period and of the one before, and the period's most expensive models."""
    period = asked.period
    check_length(period)
    base = Question(
        asked.project_id,
        (period.before().start, period.start, period.end),
        tuple(wanted.measures),
        filters=wanted.filters,
        declared_tags=asked.declared_tags,
        is_newest=asked.is_newest,
    )
    models = base._replace(
        boundaries=(period.start, period.end),
        families=TOP_MODEL_FAMILIES,
        dimensions=(Dimension("provider_name"), Dimension("model")),
        limit=wanted.top,
    )

    def table(results: Results) -> list[Row]:
        names = {1: "previous", 2: "current"}
        return [
            {"period": name, **totals(results[0], base.figures, bucket)}
            for bucket, name in names.items()
        ]

    def body(results: Results) -> dict[str, Any]:
        previous, current = (
            {name: value for name, value in row.items() if name != "period"}
            for row in table(results)
        )
        return {"current": current, "previous": previous, "top_models": results[1]}

    columns = [Column("period", "text"), *base.figures]
    return Plan((state(base), state(models)), columns, table, body)


def plan_timeseries(asked: Asked, wanted: TimeseriesParameters) -> Plan:
    """Every bucket of every series.

    Raises:
        LimitExceededError: names `max_period_days`, `max_points` or `max_call_hours`.
    """
    check_length(asked.period, wanted.interval)
    edges = tuple(boundaries(asked.period, wanted.interval))
    _check_points((len(edges) - 1) * (wanted.limit + 1 if wanted.group_by else 1))
    question = Question(
        asked.project_id,
        edges,
        tuple(wanted.measures),
        dimensions=(Dimension(wanted.group_by),) if wanted.group_by else (),
        filters=wanted.filters,
        declared_tags=asked.declared_tags,
        is_newest=asked.is_newest,
        keep=wanted.limit if wanted.group_by else None,
        order_by=wanted.order_by,
    )

    def table(results: Results) -> list[Row]:
        return fill(results[0], edges, asked.period, wanted.group_by, question.figures)

    keys = [Column(wanted.group_by, "text"), IS_OTHER] if wanted.group_by else []
    columns = [*BUCKET_COLUMNS, *keys, *question.figures]
    return Plan((state(question),), columns, table, _rows_of(table), interval=wanted.interval)


def plan_top(asked: Asked, wanted: TopParameters) -> Plan:
    """The first n values of a dimension, and all others as one."""
    check_length(asked.period)
    question = Question(
        asked.project_id,
        (asked.period.start, asked.period.end),
        tuple(wanted.measures),
        dimensions=(Dimension(wanted.by),),
        filters=wanted.filters,
        declared_tags=asked.declared_tags,
        is_newest=asked.is_newest,
        keep=wanted.n,
        order_by=wanted.order_by,
    )
    columns = [Column(wanted.by, "text"), IS_OTHER, *question.figures]

    def table(results: Results) -> list[Row]:
        return [without_name(row, wanted.by) for row in results[0]]

    return Plan((state(question),), columns, table, _rows_of(table))


def plan_breakdown(asked: Asked, wanted: BreakdownParameters, most: int | None) -> Plan:
    """Totals by up to four dimensions, most of `order_by` first.

    Args:
        most: Rows that the form of the answer may have, None where they are counted elsewhere.
    """
    check_length(asked.period)
    question = Question(
        asked.project_id,
        (asked.period.start, asked.period.end),
        tuple(wanted.measures),
        dimensions=tuple(Dimension(name) for name in dict.fromkeys(wanted.group_by)),
        filters=wanted.filters,
        declared_tags=asked.declared_tags,
        is_newest=asked.is_newest,
        order_by=wanted.order_by,
        limit=row_limit(wanted.limit, most),
    )
    columns = [*(Column(one.name, "text") for one in question.dimensions), *question.figures]

    def table(results: Results) -> list[Row]:
        return results[0]

    return Plan((state(question),), columns, table, _rows_of(table), is_streamed=True)


def row_limit(wanted: int | None, most: int | None) -> int | None:
    """One row more than there may be, so that too many are noticed."""
    if most is None or (wanted is not None and wanted <= most):
        return wanted
    return most + 1


def check_rows(count: int, most: int, advice: str) -> None:
    """Refuse an answer of too many rows.

    Raises:
        LimitExceededError: names `max_rows`.
    """
    if count > most:
        raise beyond("max_rows", most, None, advice)


def _check_points(count: int) -> None:
    if count > MAX_POINTS:
        raise beyond(
            "max_points", MAX_POINTS, count,
            "ask for a coarser interval, a shorter period, or a smaller `limit`.",
        )  # fmt: skip


def _rows_of(table: Callable[[Results], list[Row]]) -> Callable[[Results], dict[str, Any]]:
    return lambda results: {"rows": table(results)}
