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
)

# The staging view says which raw events are calls: spans of agents repeat the usage of theirs.
RAW_BESIDE_MARTS: Final = """(
    select event_id, is_in_raw is not null as is_in_raw, is_in_marts is not null as is_in_marts
    from (
        select project_id, event_id, started_at, true as is_in_raw
        from staging.stg_ingest__llm_calls
        where loaded_at > '{loaded_after}'
            and loaded_at <= (select max(loaded_at) from marts.fct_llm_calls)
    ) as raw_calls
    full join (
        select project_id, event_id, started_at, true as is_in_marts
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
        f"marts.fct_llm_calls where cost_computed_at > '{computed_after.isoformat()}'",
        CALLS,
    )


def marts_completeness_suite(loaded_after: datetime) -> Suite:
    """The suite that lays raw calls and calls in the marts, loaded after a time, side by side."""
    return Suite(
        "marts_completeness",
        RAW_BESIDE_MARTS.format(loaded_after=loaded_after.isoformat()),
        COMPLETENESS,
    )
