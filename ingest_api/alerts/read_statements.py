"""Pure: the SQL of a read."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import sql

from ingest_api.alerts.metrics import Family
from ingest_api.alerts.reads import Read
from ingest_api.analytics.dimensions import Dimension, Filter, filter_parameters
from ingest_api.analytics.facts import Facts, dimension_alias, quantile
from ingest_api.analytics.measures import QUANTILES, measures_of
from ingest_api.analytics.sources import LATENCY, USAGE, Scan, Source, choose, cover

MEASURES: Final = measures_of(["calls", "errors", "tokens", "cost", "unpriced"])

USAGE_QUERY: Final = sql.SQL("""with facts as (
    {facts}
)
select {keys}, {figures} from facts group by {keys}""")
TIMES_QUERY: Final = sql.SQL("""with bins as (
    {bins}
),
merged as (
    select {keys}, metric, bin_index, sum(call_count)::double precision as call_count
    from bins group by {keys}, metric, bin_index
),
ranked as (
    select *, sum(call_count) over (partition by {keys} order by bin_index) as rank_count,
        sum(call_count) over (partition by {keys}) as group_count
    from merged
)
select {keys}, sum(call_count)::bigint as call_count, {quantiles} from ranked group by {keys}""")
# The same of many steps at once: sums of usage, and the bins of times as they are.
USAGE_SERIES: Final = sql.SQL("""with facts as (
    {facts}
)
select bucket, {keys}, {figures} from facts group by bucket, {keys} limit {limit}""")
TIMES_SERIES: Final = sql.SQL("""with bins as (
    {bins}
)
select bucket, {keys}, bin_index, sum(call_count)::bigint as call_count
from bins group by bucket, {keys}, bin_index limit {limit}""")
DEAD_LETTERS_QUERY: Final = sql.SQL("""select {owner} as owner_id, count(*) as dead_letters
from raw.dead_letters
where rejected_at >= %(start)s and rejected_at < %(end)s and project_id = any(%(project_ids)s)
group by 1""")
# A month is spent evenly where each day takes its share: that is a burn rate of 1.
BUDGETS_QUERY: Final = sql.SQL("""select {owner} as owner_id, budget_name as dimension_0,
    max(used_ratio) as budget_use,
    max(burn_rate_usd * extract(day from date_trunc('month', usage_date::timestamp)
        + interval '1 month' - interval '1 day') / month_usd) as burn_rate,
    max(projected_ratio) as budget_forecast
from marts.fct_budget_use_daily
where usage_date = (%(end)s::timestamptz at time zone 'UTC' - interval '1 microsecond')::date
    and {owner} = any(%(owner_ids)s){conditions}
group by 1, 2""")
# Hours that have ended within the window. Rows without a model are of all calls together.
ANOMALIES_QUERY: Final = sql.SQL("""select {owner} as owner_id, {columns}
    count(distinct hour_start_at) filter (where is_anomaly) as anomaly,
    {counts},
    max(score) filter (where is_anomaly) as anomaly_score
from marts.fct_anomalies_hourly
where hour_start_at > %(start)s::timestamptz - interval '1 hour'
    and hour_start_at <= %(end)s::timestamptz - interval '1 hour'
    and project_id = any(%(project_ids)s) and model is {all_models}null{conditions}
group by {by}""")
ANOMALY_METRICS: Final = ("cost", "calls", "latency", "error_rate")
SOURCES: Final[dict[Family, tuple[Source, ...]]] = {
    "usage": USAGE,
    "duration": LATENCY,
    "time_to_first_chunk": LATENCY,
}


class ReadStatement(NamedTuple):
    """A query and its parameters."""

    query: sql.Composed
    parameters: dict[str, Any]


def state_read(
    read: Read, filters: Sequence[Filter], project_ids: Sequence[UUID], owner_ids: Sequence[UUID]
) -> ReadStatement:
    """The statement of a read; rows have `owner_id`, `dimension_<n>` and figures.

    Args:
        read: What is read.
        filters: As `shared_filters` gives them.
        project_ids: Whose calls.
        owner_ids: The projects, or the tenants, that rows are added up by.
    """
    query, parameters = STATEMENTS[read.family](read, filters)
    more = {
        "project_ids": list(project_ids),
        "owner_ids": list(owner_ids),
        "start": read.start,
        "end": read.end,
    }
    return ReadStatement(query, {**more, **parameters, **filter_parameters(filters)})


def scans_of(read: Read) -> list[Scan]:
    """The tables that calls are read from, and which part of each."""
    dimensions = [Dimension(name) for name in read.dimensions]
    tags = {one.tag_key for one in dimensions if one.tag_key and read.has_declared_tags}
    return cover((read.start, read.end), choose(SOURCES[read.family], dimensions, tags))


def state_series(
    read: Read,
    filters: Sequence[Filter],
    project_ids: Sequence[UUID],
    boundaries: Sequence[datetime],
    limit: int,
) -> ReadStatement:
    """Usage or times of many steps; rows have `bucket`, counted from 1, beside those of a read."""
    dimensions = [Dimension(name) for name in read.dimensions]
    tags = {one.tag_key for one in dimensions if one.tag_key and read.has_declared_tags}
    scans = cover(boundaries, choose(SOURCES[read.family], dimensions, tags))
    facts = Facts(boundaries, dimensions, filters, owner=_owner(read))
    more = {"keys": _keys(read), "limit": sql.Literal(limit)}
    if read.family == "usage":
        figures = sql.SQL(", ").join(one.total for one in MEASURES)
        query = USAGE_SERIES.format(facts=facts.usage(scans, MEASURES), figures=figures, **more)
    else:
        query = TIMES_SERIES.format(bins=facts.bins(scans, [read.family]), **more)
    parameters = {**facts.parameters, **filter_parameters(filters)}
    return ReadStatement(query, {"project_ids": list(project_ids), **parameters})


def _owner(read: Read) -> str:
    return "tenant_id" if read.is_of_tenant else "project_id"


def _facts(read: Read, filters: Sequence[Filter]) -> Facts:
    dimensions = [Dimension(name) for name in read.dimensions]
    return Facts((read.start, read.end), dimensions, filters, owner=_owner(read))


def _keys(read: Read) -> sql.Composable:
    names = [sql.Identifier("owner_id"), *map(dimension_alias, range(len(read.dimensions)))]
    return sql.SQL(", ").join(names)


def _usage(read: Read, filters: Sequence[Filter]) -> ReadStatement:
    facts = _facts(read, filters)
    query = USAGE_QUERY.format(
        facts=facts.usage(scans_of(read), MEASURES),
        keys=_keys(read),
        figures=sql.SQL(", ").join(one.total for one in MEASURES),
    )
    return ReadStatement(query, facts.parameters)


def _times(read: Read, filters: Sequence[Filter]) -> ReadStatement:
    facts = _facts(read, filters)
    found = [quantile(read.family, ratio, name) for name, ratio in QUANTILES.items()]
    query = TIMES_QUERY.format(
        bins=facts.bins(scans_of(read), [read.family]),
        keys=_keys(read),
        quantiles=sql.SQL(", ").join(found),
    )
    return ReadStatement(query, facts.parameters)


def _dead_letters(read: Read, filters: Sequence[Filter]) -> ReadStatement:  # noqa: ARG001 - of all
    return ReadStatement(DEAD_LETTERS_QUERY.format(owner=sql.Identifier(_owner(read))), {})


def _budgets(read: Read, filters: Sequence[Filter]) -> ReadStatement:
    conditions = sql.SQL("").join(
        sql.SQL("\n    and budget_name = any({})").format(sql.Placeholder(f"filter_{n}"))
        for n, _ in enumerate(filters)
    )
    owner = sql.Identifier(_owner(read))
    return ReadStatement(BUDGETS_QUERY.format(owner=owner, conditions=conditions), {})


def _anomalies(read: Read, filters: Sequence[Filter]) -> ReadStatement:
    dimensions = [Dimension(name) for name in read.dimensions]
    counts = [
        sql.SQL("count(*) filter (where is_anomaly and metric = {}) as {}").format(
            sql.Literal(metric), sql.Identifier(f"anomaly_{metric}")
        )
        for metric in ANOMALY_METRICS
    ]
    columns = [
        sql.SQL("{} as {}, ").format(one.value, dimension_alias(n))
        for n, one in enumerate(dimensions)
    ]
    query = ANOMALIES_QUERY.format(
        owner=sql.Identifier(_owner(read)),
        columns=sql.SQL("").join(columns),
        counts=sql.SQL(",\n    ").join(counts),
        all_models=sql.SQL("not " if dimensions else ""),
        conditions=sql.SQL("").join(
            sql.SQL("\n    and {}").format(one.condition(f"filter_{n}"))
            for n, one in enumerate(filters)
        ),
        by=sql.SQL(", ").join(sql.SQL(str(n + 1)) for n in range(len(dimensions) + 1)),
    )
    return ReadStatement(query, {})


STATEMENTS: Final[dict[Family, Callable[[Read, Sequence[Filter]], ReadStatement]]] = {
    "usage": _usage,
    "duration": _times,
    "time_to_first_chunk": _times,
    "dead_letters": _dead_letters,
    "budget": _budgets,
    "anomaly": _anomalies,
}
