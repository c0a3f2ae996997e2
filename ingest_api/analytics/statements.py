"""Pure: a question about usage as one SQL statement.

facts -> cells (bucket x dimensions), or
facts -> parts (as cells) -> kept (the first n values) -> cells (all other values are one)
bins -> merged bins -> ranked -> quantiles, joined to the cells
"""

from collections.abc import Sequence, Set
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import sql

from ingest_api.analytics.call_limits import check_calls
from ingest_api.analytics.dimensions import Dimension, Filter, filter_parameters, unformatted
from ingest_api.analytics.facts import Facts, dimension_alias, quantile
from ingest_api.analytics.measures import (
    ALL_MEASURES,
    QUANTILES,
    Column,
    Family,
    Measure,
    Metric,
    columns_of,
    measures_of,
    metrics_of,
)
from ingest_api.analytics.sources import LATENCY, USAGE, Scan, Source, choose, cover


class Question(NamedTuple):
    """What to add up.

    Attributes:
        boundaries: Of the buckets, in UTC.
        keep: How many values of the single dimension stand alone; the others are one row a bucket.
            None keeps all.
        order_by: The measure by which values come first.
        limit: Rows, at most.
        is_newest: No call started after the last boundary.
    """

    project_id: UUID
    boundaries: tuple[datetime, ...]
    families: tuple[Family, ...]
    dimensions: tuple[Dimension, ...] = ()
    filters: tuple[Filter, ...] = ()
    declared_tags: Set[str] = frozenset()
    keep: int | None = None
    order_by: str = "total_cost_usd"
    limit: int | None = None
    is_newest: bool = False

    @property
    def used_dimensions(self) -> tuple[Dimension, ...]:
        """All that a table must know."""
        return tuple(dict.fromkeys([*self.dimensions, *(one.dimension for one in self.filters)]))

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Sums of the answer, and the one that orders it."""
        from_families = measures_of(self.families)
        ordering = [one for one in ALL_MEASURES if self.dimensions and one.name == self.order_by]
        return tuple(dict.fromkeys([*from_families, *ordering]))

    @property
    def has_buckets(self) -> bool:
        """Whether the answer is over time."""
        return len(self.boundaries) > 2

    @property
    def figures(self) -> list[Column]:
        """The columns of the answer behind its keys."""
        return columns_of(self.families)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Measured times of the answer."""
        return metrics_of(self.families)


class Statement(NamedTuple):
    """A query, its parameters, and the tables that it reads."""

    query: sql.Composed
    parameters: dict[str, Any]
    scans: tuple[Scan, ...]


def state(question: Question) -> Statement:
    """The statement of a question: rows with `bucket`, `dimension_<n>`, `is_other` and figures.

    Raises:
        LimitExceededError: too many single calls would be read.
    """
    usage, latency = scans_of(question)
    facts = Facts(question.boundaries, question.dimensions, question.filters)
    steps = [
        _step("facts", facts.usage(usage, question.measures)),
        *_cell_steps(question),
        *(_quantile_steps(question, facts.bins(latency, question.metrics)) if latency else ()),
    ]
    query = sql.SQL("with {}\n{}").format(sql.SQL(",\n").join(steps), _answer(question))
    parameters = {
        **facts.parameters,
        **filter_parameters(question.filters),
        "project_id": question.project_id,
        "keep": question.keep,
        "limit": question.limit,
    }
    return Statement(query, parameters, (*usage, *latency))


def scans_of(question: Question) -> tuple[list[Scan], list[Scan]]:
    """What is read for usage, and for percentiles where they are asked for.

    Raises:
        LimitExceededError: too many single calls would be read.
    """
    dimensions, tags = question.used_dimensions, question.declared_tags

    def covered(tables: Sequence[Source]) -> list[Scan]:
        chosen = choose(tables, dimensions, tags)
        return cover(question.boundaries, chosen, is_newest=question.is_newest)

    usage = covered(USAGE)
    latency = covered(LATENCY) if question.metrics else []
    for scans in (usage, latency):
        check_calls(scans, dimensions, question.filters)
    return usage, latency


def _step(name: str, query: sql.Composable) -> sql.Composable:
    return sql.SQL("{} as (\n    {}\n)").format(sql.Identifier(name), query)


def _keys(question: Question) -> list[sql.Composable]:
    return [sql.Identifier("bucket"), *map(dimension_alias, range(len(question.dimensions)))]


def _list(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _sums(measures: Sequence[Measure]) -> sql.Composed:
    return _list([one.total for one in measures])


CELLS: Final = sql.SQL("select {keys}, false as is_other, {figures} from {rows} group by {by}")
KEPT: Final = sql.SQL("""select dimension_0
    from {rows}
    group by dimension_0
    order by sum({order_by}) desc nulls last, sum(call_count) desc, dimension_0
    limit %(keep)s""")
# The facts of a value that is not kept belong to the others, whose name is empty.
FOLDED: Final = sql.SQL("""select parts.bucket, coalesce(kept.dimension_0, '') as dimension_0,
        kept.dimension_0 is null as is_other, {figures}
    from {rows} as parts
    left join kept on parts.dimension_0 = kept.dimension_0
    group by {by}""")


def _cell_steps(question: Question) -> list[sql.Composable]:
    sums = _sums(question.measures)
    if question.keep is None:
        return [_step("cells", _grouped(question, CELLS, "facts", sums))]
    # Nearly every row is a day of a user: adding them up first would gain nothing.
    is_sparse = question.has_buckets and question.dimensions[0].name == "user_id"
    rows = "facts" if is_sparse else "parts"
    kept = KEPT.format(order_by=sql.Identifier(question.order_by), rows=sql.Identifier(rows))
    return [
        *([] if is_sparse else [_step("parts", _grouped(question, CELLS, "facts", sums))]),
        _step("kept", kept),
        _step("cells", _grouped(question, FOLDED, rows, sums)),
    ]


def _grouped(
    question: Question, template: sql.SQL, rows: str, figures: sql.Composable, *more_keys: str
) -> sql.Composable:
    """The figures of some rows by bucket and dimension, and by `more_keys`."""
    keys = _keys(question)
    by = [sql.SQL(number) for number in ("1", "2", "3")] if template is FOLDED else keys
    return template.format(
        keys=_list(keys),
        figures=figures,
        rows=sql.Identifier(rows),
        by=_list([*by, *map(sql.Identifier, more_keys)]),
    )


RANKED: Final = sql.SQL("""select *,
        sum(call_count) over (
            partition by {keys}, is_other, metric order by bin_index rows unbounded preceding
        ) as rank_count,
        sum(call_count) over (partition by {keys}, is_other, metric) as group_count
    from merged_bins""")


def _quantile_steps(question: Question, bins: sql.Composable) -> list[sql.Composable]:
    keys = _list(_keys(question))
    # Doubles hold whole numbers up to 2^53, and add up in a tenth of numeric's time.
    counted = sql.SQL("metric, bin_index, sum(call_count::double precision) as call_count")
    template = CELLS if question.keep is None else FOLDED
    merged = _grouped(question, template, "bins", counted, "metric", "bin_index")
    quantiles = sql.SQL("select {keys}, is_other, {values} from ranked group by {keys}, is_other")
    values = _list([value for metric in question.metrics for value in _quantiles(metric)])
    return [
        _step("bins", bins),
        _step("merged_bins", merged),
        _step("ranked", RANKED.format(keys=keys)),
        _step("quantiles", quantiles.format(keys=keys, values=values)),
    ]


def _quantiles(metric: Metric) -> list[sql.Composable]:
    return [
        quantile(metric, ratio, f"{name}_{metric}_seconds") for name, ratio in QUANTILES.items()
    ]


def _answer(question: Question) -> sql.Composable:
    shown = [sql.Identifier(column.name) for column in question.figures]
    named = [
        sql.SQL("{} as {}").format(dimension_alias(n), sql.Identifier(unformatted(one.name)))
        for n, one in enumerate(question.dimensions)
    ]
    flags = [sql.Identifier("is_other")] if question.keep is not None else []
    buckets = [sql.Identifier("bucket")] if question.has_buckets else []
    query: sql.Composable = sql.SQL("select {}\nfrom cells").format(
        _list([*buckets, *named, *flags, *shown])
    )
    if question.metrics:
        keys = _list([*_keys(question), sql.Identifier("is_other")])
        query += sql.SQL("\nleft join quantiles using ({})").format(keys)
    order: list[sql.Composable] = [sql.Identifier("bucket"), sql.Identifier("is_other")]
    if question.dimensions:
        ordering = sql.SQL("{} desc nulls last").format(sql.Identifier(question.order_by))
        order += [ordering, sql.SQL("call_count desc"), *_keys(question)[1:]]
    query += sql.SQL("\norder by {}").format(_list(order))
    return query if question.limit is None else query + sql.SQL("\nlimit %(limit)s")
