"""The suite that lays the minutes of the roll-ups beside the raw events."""

from datetime import datetime
from typing import Final

from quality.suites import Rule, Suite

MINUTES: Final = (
    Rule(
        "minutes_with_raw_calls_have_their_roll_up",
        "Every minute in which a project has raw calls has its row in fct_usage_minutely. A breach "
        "is a gap in every chart: rebuild the roll-ups. The sample names project and minute.",
        "call_count is not null or raw_call_count is null",
    ),
    Rule(
        "minutes_add_up_to_their_raw_calls",
        "Calls, input tokens and output tokens of a minute are the sums over its raw calls. The "
        "sample names project and minute.",
        "(call_count, input_tokens, output_tokens) = "
        "(coalesce(raw_call_count, 0), coalesce(raw_input_tokens, 0), "
        "coalesce(raw_output_tokens, 0))",
    ),
)

# Rows up to the newest load that the minutes hold: a build may be under way, and fills the calls
# before the minutes. The watermark is joined for the reason that marts_llm_calls gives.
RAW_BESIDE_MINUTES: Final = """(
    select
        concat(project_id, ' ', to_char(usage_minute at time zone 'UTC', 'YYYY-MM-DD HH24:MI'))
            as event_id,
        *
    from (
        select
            raw_calls.project_id,
            date_trunc('minute', raw_calls.started_at, 'UTC') as usage_minute,
            count(*) as raw_call_count,
            sum(raw_calls.input_tokens) as raw_input_tokens,
            sum(raw_calls.output_tokens) as raw_output_tokens
        from staging.stg_ingest__llm_calls as raw_calls
        inner join (
            select max(loaded_at) as loaded_until
            from marts.fct_llm_calls
            where cost_computed_at <= (select max(refreshed_at) from marts.fct_usage_minutely)
        ) as built on raw_calls.loaded_at <= built.loaded_until
        where raw_calls.started_at >= '{started_from}'
        group by 1, 2
    ) as raw_minutes
    full join (
        select
            project_id,
            usage_minute,
            sum(call_count) as call_count,
            sum(input_tokens) as input_tokens,
            sum(output_tokens) as output_tokens
        from marts.fct_usage_minutely
        where usage_minute >= '{started_from}'
        group by 1, 2
    ) as built_minutes using (project_id, usage_minute)
) as minutes"""


def marts_usage_minutely_suite(started_after: datetime) -> Suite:
    """The suite on the minutes that began after a time (with a zone)."""
    first_minute = started_after.replace(second=0, microsecond=0)
    return Suite(
        "marts_usage_minutely",
        RAW_BESIDE_MINUTES.format(started_from=first_minute.isoformat()),
        MINUTES,
        unit="minutes",
    )
