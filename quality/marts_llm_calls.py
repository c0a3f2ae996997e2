"""The suites on `marts.fct_llm_calls`: every call is there once, and its money adds up."""

from datetime import datetime
from typing import Final

from quality.suites import Rule, Severity, Suite

COSTS: Final = (
    "uncached_input", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio",
    "input_image", "output", "output_audio", "request",
)  # fmt: skip
COST_COLUMNS: Final = tuple(f"{cost}_cost_usd" for cost in COSTS)
# No price is missing where there is nothing to price.
UNUSABLE_USAGE: Final = (
    "('no_usage', 'missing_usage', 'invalid_usage', 'ambiguous_usage', 'missing_duration')"
)
TOLERATED_GAP_RATIO: Final = 0.05

MONEY: Final = (
    Rule(
        "calls_have_either_a_cost_or_a_reason",
        "A call has a cost, or the reason why it has none: never both, never neither, and never "
        "a zero that means unknown.",
        "(total_cost_usd is null) = (unpriced_reason is not null)",
    ),
    Rule(
        "costs_are_not_negative",
        "No part of a cost is below zero. A breach is a bucket with a negative token count that "
        "was priced.",
        f"least(total_cost_usd, {', '.join(COST_COLUMNS)}) >= 0",
    ),
    Rule(
        "cost_parts_add_up_to_the_total",
        "The parts of a cost add up to the total, to the last digit.",
        f"{' + '.join(COST_COLUMNS)} = total_cost_usd",
    ),
    Rule(
        "costs_name_their_price_rows",
        "Every part of a cost names the price row it was computed from, so that the figure can "
        "be traced.",
        " and ".join(
            f"({cost}_cost_usd > 0 and {cost}_price_id is null) is not true" for cost in COSTS
        ),
    ),
    Rule(
        "llm_calls_have_known_price",
        "At least 95 % of the calls are of a model with a known price. Costs in reports leave "
        "the others out: look at the page of unpriced models, then add a price.",
        f"coalesce(unpriced_reason in {UNUSABLE_USAGE}, true)",
        Severity.WARN,
        TOLERATED_GAP_RATIO,
    ),
    Rule(
        "costs_per_token_lie_within_the_price_table",
        "What a call cost per token, surcharges apart, lies between the lowest and the highest "
        "price that the price table has ever had for its model. A breach is a price of another "
        "model or unit: look at the price rows that the call names.",
        "total_cost_usd - request_cost_usd between "
        "lowest_usd_per_million * (input_tokens + output_tokens) * 0.000001 "
        "and highest_usd_per_million * (input_tokens + output_tokens) * 0.000001",
    ),
)

USAGE: Final = (
    Rule(
        "input_parts_add_up_to_input_tokens",
        "Uncached, cache-read and cache-written tokens add up to the inclusive input tokens.",
        "uncached_input_tokens + cache_read_input_tokens + cache_write_input_tokens = input_tokens",
    ),
    Rule(
        "successful_calls_report_usage",
        "At least 95 % of the successful calls report their tokens. Streams often do not: ask the "
        "provider for usage in the stream (include_usage), or use the SDK.",
        "is_error or has_usage",
        Severity.WARN,
        TOLERATED_GAP_RATIO,
    ),
)

CALLS: Final = MONEY + USAGE

COMPLETENESS: Final = (
    Rule(
        "raw_calls_up_to_the_watermark_are_in_the_marts",
        "Every model call that was loaded no later than the newest call in the marts is there "
        "too. A breach is a call that no report shows: rebuild the marts from raw.",
        "is_in_marts",
    ),
    Rule(
        "calls_in_the_marts_stem_from_a_raw_event",
        "Every call in the marts has its raw event. A breach is a figure that cannot be traced.",
        "is_in_raw",
    ),
    Rule(
        "calls_in_the_marts_carry_the_tokens_of_their_raw_event",
        "Input and output tokens in the marts are those of the raw event. A breach is a figure "
        "that was changed on its way.",
        "has_same_tokens",
    ),
)

# The lowest and the highest price of a token of each model, whatever its kind, tier and time.
CALLS_AND_PRICE_BOUNDS: Final = """marts.fct_llm_calls
left join (
    select
        catalog_provider,
        catalog_model,
        min(usd_per_million) as lowest_usd_per_million,
        max(usd_per_million) as highest_usd_per_million
    from pricing.model_prices
    where token_kind not in ('request', 'web_search', 'storage_search', 'hour')
    group by catalog_provider, catalog_model
) as bounds using (catalog_provider, catalog_model)
where cost_computed_at > '{computed_after}'"""

# The staging view says which raw events are calls: spans of agents repeat the usage of theirs. The
# watermark is joined: as a subquery in `where`, TimescaleDB's parallel append takes it for null.
RAW_BESIDE_MARTS: Final = """(
    select
        event_id,
        project_id,
        is_in_raw is not null as is_in_raw,
        is_in_marts is not null as is_in_marts,
        raw_input_tokens = built_input_tokens and raw_output_tokens = built_output_tokens
            as has_same_tokens
    from (
        select
            raw_calls.project_id,
            event_id,
            started_at,
            true as is_in_raw,
            input_tokens as raw_input_tokens,
            output_tokens as raw_output_tokens
        from staging.stg_ingest__llm_calls as raw_calls
        inner join (select max(loaded_at) as loaded_until from marts.fct_llm_calls) as built
            on raw_calls.loaded_at <= built.loaded_until
        where raw_calls.loaded_at > '{loaded_after}'
    ) as raw_calls
    full join (
        select
            project_id,
            event_id,
            started_at,
            true as is_in_marts,
            input_tokens as built_input_tokens,
            output_tokens as built_output_tokens
        from marts.fct_llm_calls
        where loaded_at > '{loaded_after}'
    ) as built_calls using (project_id, event_id, started_at)
) as calls"""


def marts_llm_calls_suite(computed_after: datetime) -> Suite:
    """The suite on the calls whose cost was computed after a time (with a zone).

    So a call that got its price late is checked again.
    """
    return Suite(
        "marts_llm_calls",
        CALLS_AND_PRICE_BOUNDS.format(computed_after=computed_after.isoformat()),
        CALLS,
        unit="calls",
    )


def marts_completeness_suite(loaded_after: datetime) -> Suite:
    """The suite that lays raw calls and calls in the marts, loaded after a time, side by side."""
    return Suite(
        "marts_completeness",
        RAW_BESIDE_MARTS.format(loaded_after=loaded_after.isoformat()),
        COMPLETENESS,
        unit="calls",
        counted=f"marts.fct_llm_calls where loaded_at > '{loaded_after.isoformat()}'",
    )
