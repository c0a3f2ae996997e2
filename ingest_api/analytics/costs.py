"""Pure: what was paid, by bucket and price row, beside what the senders reported."""

from typing import Any, Final

from psycopg import sql

from ingest_api.analytics.dimensions import Dimension, read_filters
from ingest_api.analytics.facts import within
from ingest_api.analytics.measures import Column, Family
from ingest_api.analytics.parameters import CostsParameters
from ingest_api.analytics.periods import check_length
from ingest_api.analytics.plans import Asked, Plan, Results, row_limit
from ingest_api.analytics.shapes import Row
from ingest_api.analytics.sources import CALLS, COSTS, cover
from ingest_api.analytics.statements import Question, Statement, state

COLUMNS: Final = [
    Column("provider_name", "text"),
    Column("model", "text"),
    Column("bucket", "text"),
    Column("call_count", "count"),
    Column("cost_usd", "usd"),
    Column("price_id", "text"),
    Column("price_token_kind", "text"),
    Column("price_usd_per_million", "usd"),
    Column("price_service_tier", "text"),
    Column("price_valid_from", "time"),
    Column("price_valid_to", "time"),
    Column("price_source", "text"),
    Column("price_catalog_version", "text"),
]
MODEL_FAMILIES: Final[tuple[Family, ...]] = ("calls", "cost", "reported", "unpriced")
BUCKETS: Final = (
    "uncached_input", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio",
    "input_image", "output", "output_audio", "request",
)  # fmt: skip

BY_PRICE: Final = sql.SQL("""with costs as (
    {branches}
),
totals as (
    select provider_name, model, bucket, price_id,
        sum(call_count)::bigint as call_count, trim_scale(sum(cost_usd)) as cost_usd
    from costs
    group by provider_name, model, bucket, price_id
)
select totals.provider_name, totals.model, totals.bucket, totals.call_count, totals.cost_usd,
    totals.price_id::text as price_id, prices.token_kind as price_token_kind,
    prices.usd_per_million as price_usd_per_million, prices.service_tier as price_service_tier,
    prices.valid_from as price_valid_from, prices.valid_to as price_valid_to,
    prices.source as price_source, prices.catalog_version as price_catalog_version
from totals
left join pricing.model_prices as prices using (price_id)
order by totals.cost_usd desc, totals.provider_name, totals.model, totals.bucket, totals.price_id
{limit}""")
OF_HOURS: Final = sql.SQL("""select provider_name, model, bucket, price_id, call_count, cost_usd
    from marts.fct_cost_by_price_hourly
    where project_id = %(project_id)s and price_id is not null and ({within}){filters}""")
OF_CALLS: Final = sql.SQL("""select provider_name, model, buckets.bucket, buckets.price_id,
        1 as call_count, buckets.cost_usd
    from marts.fct_llm_calls
    cross join lateral (values {buckets}) as buckets (bucket, price_id, cost_usd)
    where project_id = %(project_id)s and buckets.price_id is not null and ({within}){filters}""")


def plan_costs(asked: Asked, wanted: CostsParameters, most: int | None) -> Plan:
    """Costs by bucket and price; in JSON also by model, reported beside computed.

    Args:
        most: Rows that the form of the answer may have, None where they are counted elsewhere.
    """
    check_length(asked.period)
    filters = read_filters({"provider_name": wanted.provider_name, "model": wanted.model}, [])
    by_model = Question(
        asked.project_id,
        (asked.period.start, asked.period.end),
        MODEL_FAMILIES,
        dimensions=(Dimension("provider_name"), Dimension("model")),
        filters=filters,
        is_newest=asked.is_newest,
        limit=row_limit(None, most),
    )

    def table(results: Results) -> list[Row]:
        return results[0]

    def body(results: Results) -> dict[str, Any]:
        return {"rows": results[0], "models": results[1]}

    statements = (_by_price(asked, wanted, row_limit(None, most)), state(by_model))
    return Plan(statements, COLUMNS, table, body, is_streamed=True)


def _by_price(asked: Asked, wanted: CostsParameters, limit: int | None) -> Statement:
    edges = (asked.period.start, asked.period.end)
    scans = cover(edges, (COSTS, CALLS), is_newest=asked.is_newest)
    parameters: dict[str, Any] = {"project_id": asked.project_id, "limit": limit}
    filters = []
    for name, values in (("provider_name", wanted.provider_name), ("model", wanted.model)):
        if values:
            filters.append(sql.SQL(" and {} = any({})").format(
                sql.Identifier(name), sql.Placeholder(name)))  # fmt: skip
            parameters[name] = values
    branches = []
    for number, scan in enumerate(scans):
        ranges, bounds = within(f"costs_{number}", scan)
        parameters |= bounds
        template = OF_CALLS if scan.source.is_calls else OF_HOURS
        branches.append(
            template.format(within=ranges, filters=sql.SQL("").join(filters), buckets=_buckets())
        )
    query = BY_PRICE.format(
        branches=sql.SQL("\n    union all\n    ").join(branches),
        limit=sql.SQL("" if limit is None else "limit %(limit)s"),
    )
    return Statement(query, parameters, tuple(scans))


def _buckets() -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("({}, {}, {})").format(
            sql.Literal(name),
            sql.Identifier(f"{name}_price_id"),
            sql.Identifier(f"{name}_cost_usd"),
        )
        for name in BUCKETS
    )
