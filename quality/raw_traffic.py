"""The suites on the traffic of each project: does it still send what it used to, and as much?

Both compare raw events of the last hour with what the roll-ups of the marts remember, so that a
comparison with weeks costs a few hundred rows. They are silent about a project that has no history
or hardly any traffic: a warning nobody can act on teaches to ignore warnings. A finer eye for
spikes is the mart of anomalies.
"""

from datetime import datetime, timedelta
from typing import Final

from quality.suites import Rule, Severity, Suite

# Fewer calls in an hour give shares and sums that jump by themselves.
FEWEST_CALLS: Final = 100
DAYS_BEFORE: Final = 7
# A fifth more of the calls lack what the project used to send: a release of a sender, no chance.
MOST_INCREASE: Final = 0.2
WEEKS_BEFORE: Final = 4
FEWEST_WEEKS: Final = 3
# Four times: holidays and campaigns halve and double a traffic, outages and loops do more.
MOST_FACTOR: Final = 4
# Late events of the hour have come by then.
SETTLED_AFTER: Final = timedelta(minutes=10)


def _is_reported(what: str, meaning: str, column: str) -> Rule:
    return Rule(
        f"{what}_are_reported_as_before",
        f"The share of a project's calls without {meaning} is not more than {MOST_INCREASE:.0%} "
        f"above that of its last {DAYS_BEFORE} days: a release of a sender may have lost it. The "
        "sample lists the projects.",
        f"{column}_ratio <= {column}_ratio_before + {MOST_INCREASE}",
        Severity.WARN,
    )


NULL_RATES: Final = (
    _is_reported("token_counts", "token counts", "no_usage"),
    _is_reported("durations", "a duration", "no_duration"),
    _is_reported("users", "a user", "no_user"),
)

VOLUME: Final = (
    Rule(
        "calls_are_as_many_as_in_recent_weeks",
        f"A project's calls of the last full hour are between a quarter and {MOST_FACTOR} times "
        "those of the same hour in recent weeks. Fewer: a sender is silent or refused. More: a "
        "loop, or a retry storm. The sample lists the projects.",
        f"call_count between usual_count / {MOST_FACTOR} and usual_count * {MOST_FACTOR}",
        Severity.WARN,
    ),
)

OPERATIONS_AROUND_CALLS: Final = (
    "('create_agent', 'invoke_agent', 'invoke_workflow', 'execute_tool')"
)

RATES_BESIDE_BEFORE: Final = """(
    select
        now.project_id as event_id,
        now.*,
        usage.ratio as no_usage_ratio_before,
        durations.ratio as no_duration_ratio_before,
        users.ratio as no_user_ratio_before
    from (
        select
            project_id,
            count(*) filter (
                where error_type is null and input_tokens is null and output_tokens is null
            )::float / nullif(count(*) filter (where error_type is null), 0) as no_usage_ratio,
            count(*) filter (where duration_seconds is null and ended_at is null)::float / count(*)
                as no_duration_ratio,
            count(*) filter (where user_id is null)::float / count(*) as no_user_ratio
        from raw.llm_events
        where loaded_at > '{loaded_after}' and operation_name not in {operations}
        group by project_id
        having count(*) >= {fewest_calls}
    ) as now
    left join lateral (
        select sum(missing_usage_call_count)::float / nullif(sum(call_count - error_count), 0)
            as ratio
        from marts.fct_usage_daily
        where {days} having sum(call_count) >= {fewest_calls}
    ) as usage on true
    left join lateral (
        select coalesce(sum(call_count) filter (where bin_index is null), 0)::float
            / sum(call_count) as ratio
        from marts.fct_project_latency_daily
        where {days} and metric = 'duration' having sum(call_count) >= {fewest_calls}
    ) as durations on true
    left join lateral (
        select coalesce(sum(call_count) filter (where user_id is null), 0)::float
            / sum(call_count) as ratio
        from marts.fct_user_usage_daily
        where {days} having sum(call_count) >= {fewest_calls}
    ) as users on true
) as projects"""

VOLUME_BESIDE_BEFORE: Final = """(
    select
        projects.project_id as event_id,
        projects.project_id,
        usual.call_count as usual_count,
        now.call_count
    from app.projects
    cross join lateral (
        select percentile_cont(0.5) within group (order by call_count) as call_count
        from (
            select sum(call_count)::float as call_count
            from marts.fct_model_usage_hourly as hourly
            where hourly.project_id = projects.project_id
                and hourly.usage_hour in ({hours})
            group by usage_hour
        ) as hours
        having count(*) >= {fewest_weeks}
    ) as usual
    cross join lateral (
        select count(*) as call_count
        from raw.llm_events as events
        where events.project_id = projects.project_id
            and events.started_at >= '{hour}'
            and events.started_at < timestamptz '{hour}' + interval '1 hour'
            and events.operation_name not in {operations}
    ) as now
    where usual.call_count >= {fewest_calls} and not projects.is_demo
) as projects"""


def raw_null_rates_suite(now: datetime, loaded_after: datetime) -> Suite:
    """The suite on what projects leave out in rows loaded after a time (both with a zone)."""
    days = (
        f"project_id = now.project_id and usage_date < '{now:%Y-%m-%d}' "
        f"and usage_date >= '{now - timedelta(days=DAYS_BEFORE):%Y-%m-%d}'"
    )
    source = RATES_BESIDE_BEFORE.format(
        loaded_after=loaded_after.isoformat(),
        operations=OPERATIONS_AROUND_CALLS,
        fewest_calls=FEWEST_CALLS,
        days=days,
    )
    return Suite("raw_null_rates", source, NULL_RATES, unit="projects")


def raw_volume_suite(now: datetime) -> Suite:
    """The suite on how many calls projects make in the last full hour before `now` (UTC)."""
    hour = last_full_hour(now)
    before = (hour - timedelta(weeks=week) for week in range(1, WEEKS_BEFORE + 1))
    source = VOLUME_BESIDE_BEFORE.format(
        hour=hour.isoformat(),
        hours=", ".join(f"'{one.isoformat()}'" for one in before),
        operations=OPERATIONS_AROUND_CALLS,
        fewest_weeks=FEWEST_WEEKS,
        fewest_calls=FEWEST_CALLS,
    )
    return Suite("raw_volume", source, VOLUME, unit="projects")


def last_full_hour(now: datetime) -> datetime:
    """Start of the newest hour that ended `SETTLED_AFTER` before `now`."""
    settled = now - SETTLED_AFTER
    return settled.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
