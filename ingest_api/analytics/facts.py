"""Pure: the rows that a question adds up, as SQL over one or several tables."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from psycopg import sql

from ingest_api.analytics.dimensions import Dimension, Filter, filter_conditions
from ingest_api.analytics.measures import Measure
from ingest_api.analytics.sources import Scan, Source

# As `accuracy` in dbt_project/macros/histograms.sql; a test compares the two.
ACCURACY: Final = 0.01
GAMMA: Final = (1 + ACCURACY) / (1 - ACCURACY)

ROWS: Final = sql.SQL("""select {columns}
    from {relation}
    where {owned} and ({within}){conditions}""")
OF_PROJECT: Final = sql.SQL("project_id = %(project_id)s")
OF_PROJECTS: Final = sql.SQL("project_id = any(%(project_ids)s)")
# One row of a table of bins, or up to two of a call.
BINS_OF_CALLS: Final = sql.SQL("""(
        select calls.*, timed.metric, 1 as call_count,
            ceil(ln(greatest(timed.seconds, 1e-6)) / ln({gamma}::double precision))::integer
                as bin_index
        from marts.fct_llm_calls as calls
        cross join lateral (values
            ('duration', calls.duration_seconds),
            ('time_to_first_chunk', calls.time_to_first_chunk_seconds)
        ) as timed (metric, seconds)
        where timed.seconds is not null
    ) as timed_calls""")

BUCKET: Final = sql.SQL("width_bucket({}, %(boundaries)s::timestamptz[]) as bucket")
# A day that is read lies in one bucket whole. Dates compare in a third of the time of instants.
BUCKET_OF_DAY: Final = sql.SQL("width_bucket({}, %(boundary_dates)s::date[]) as bucket")

Columns = Callable[[Source], list[sql.Composable]]


class Facts:
    """Rows of some scans, and the values of their parameters.

    Attributes:
        parameters: Of all statements that the facts are put into.
        owner: Of several projects, the column `owner_id` that tells their rows apart; None: they
            are of one project.
    """

    def __init__(
        self,
        boundaries: Sequence[datetime],
        dimensions: Sequence[Dimension],
        filters: Sequence[Filter],
        owner: str | None = None,
    ) -> None:
        self.owner = owner
        self.dimensions = tuple(dimensions)
        self.filters = tuple(filters)
        self.has_buckets = len(boundaries) > 2
        self.parameters: dict[str, Any] = {}
        if self.has_buckets:
            self.parameters["boundaries"] = list(boundaries)
            self.parameters["boundary_dates"] = [_first_day_from(one) for one in boundaries]

    def usage(self, scans: Sequence[Scan], measures: Sequence[Measure]) -> sql.Composable:
        """Rows with the measures."""

        def columns(source: Source) -> list[sql.Composable]:
            if source.is_calls:
                # The expressions are ours, from `measures.py`.
                return [
                    sql.SQL("{} as {}").format(sql.SQL(one.of_call), sql.Identifier(one.name))
                    for one in measures
                ]
            return [sql.Identifier(one.name) for one in measures]

        return self._union("usage", scans, columns, is_timed=False)

    def bins(self, scans: Sequence[Scan], metrics: Sequence[str]) -> sql.Composable:
        """Rows of histograms: metric, bin_index, call_count."""
        self.parameters["metrics"] = list(metrics)
        names = ("metric", "bin_index", "call_count")
        return self._union(
            "bins", scans, lambda _source: [sql.Identifier(name) for name in names], is_timed=True
        )

    def _union(
        self, prefix: str, scans: Sequence[Scan], columns: Columns, *, is_timed: bool
    ) -> sql.Composable:
        branches = [
            self._branch(f"{prefix}_{n}", scan, columns, is_timed=is_timed)
            for n, scan in enumerate(scans)
        ]
        return sql.SQL("\n    union all\n    ").join(branches)

    def _branch(
        self, prefix: str, scan: Scan, columns: Columns, *, is_timed: bool
    ) -> sql.Composable:
        source = scan.source
        conditions = filter_conditions(self.filters)
        relation: sql.Composable = sql.Identifier("marts", source.table)
        if is_timed:
            conditions += [sql.SQL("metric = any(%(metrics)s)"), sql.SQL("bin_index is not null")]
            if source.is_calls:
                relation = BINS_OF_CALLS.format(gamma=sql.Literal(GAMMA))
        ranges, bounds = within(prefix, scan)
        self.parameters |= bounds
        shown = [
            *self._owner_columns(), self._bucket(source), *self._dimension_columns(),
            *columns(source),
        ]  # fmt: skip
        return ROWS.format(
            columns=sql.SQL(", ").join(shown),
            relation=relation,
            owned=OF_PROJECTS if self.owner else OF_PROJECT,
            within=ranges,
            conditions=sql.SQL("").join(sql.SQL("\n    and {}").format(one) for one in conditions),
        )

    def _owner_columns(self) -> list[sql.Composable]:
        return [sql.SQL("{} as owner_id").format(sql.Identifier(self.owner))] if self.owner else []

    def _bucket(self, source: Source) -> sql.Composable:
        if not self.has_buckets:
            return sql.SQL("1 as bucket")
        template = BUCKET_OF_DAY if source.grain == "day" else BUCKET
        return template.format(sql.Identifier(source.time_column))

    def _dimension_columns(self) -> list[sql.Composable]:
        return [
            sql.SQL("{} as {}").format(one.value, dimension_alias(n))
            for n, one in enumerate(self.dimensions)
        ]


# The value of the first bin up to which at least the wanted share of the calls lies.
QUANTILE: Final = sql.SQL("""2 * {gamma}::double precision ^ (min(bin_index) filter (
            where metric = {metric} and rank_count + 0.001 >= {ratio} * group_count
        )) / ({gamma} + 1) as {name}""")


def quantile(metric: str, ratio: float, name: str) -> sql.Composable:
    """A percentile of ranked bins: `rank_count` of `group_count` calls lie up to a bin."""
    return QUANTILE.format(
        gamma=sql.Literal(GAMMA),
        metric=sql.Literal(metric),
        ratio=sql.Literal(ratio),
        name=sql.Identifier(name),
    )


def within(prefix: str, scan: Scan) -> tuple[sql.Composable, dict[str, Any]]:
    """The condition that rows lie in the ranges of a scan, and its parameters.

    Args:
        prefix: Of the parameters' names.
    """
    column = sql.Identifier(scan.source.time_column)
    parameters: dict[str, Any] = {}
    parts = []
    for n, (start, end) in enumerate(scan.ranges):
        first, last = f"{prefix}_from_{n}", f"{prefix}_to_{n}"
        is_date = scan.source.grain == "day"
        parameters[first] = start.date() if is_date else start
        parameters[last] = end.date() if is_date else end
        names = (sql.Placeholder(first), sql.Placeholder(last))
        parts.append(sql.SQL("{0} >= {1} and {0} < {2}").format(column, *names))
    return sql.SQL(" or ").join(parts), parameters


def dimension_alias(number: int) -> sql.Identifier:
    """The name of a dimension inside a statement."""
    return sql.Identifier(f"dimension_{number}")


def _first_day_from(instant: datetime) -> date:
    """The first UTC day that begins at or after an instant."""
    is_midnight = instant.astimezone(UTC).time() == time()
    return instant.astimezone(UTC).date() + timedelta(days=0 if is_midnight else 1)
