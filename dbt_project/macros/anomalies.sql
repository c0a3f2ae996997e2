{#-
  The detector (docs/anomalies.md), as CTEs of which the last is `judged`. It judges each point by
  what came before it, in any series of any interval up to a day; the mart and `make bench-anomaly`
  both use it.

  `points` is a CTE of: series (text), at, hour_start_at (the UTC hour of `at`), value, can_drop
  (whether less than expected can be an anomaly), is_judged. Points that are not to be judged carry
  what an earlier build found: known_value (what was expected) and known_score.

  `noise` is SQL for the standard deviation that a value has by chance alone, of expected_value
  and columns of `points`.
-#}
{% macro judged_points(points, noise='0') %}
-- Six weeks back: what any step below looks at.
season_lags as (
    select
        day_count * 24 as lag_hours,
        false as is_weekly
    from generate_series(1, 14) as day_count
    union all
    select
        week_count * 168 as lag_hours,
        true as is_weekly
    from generate_series(1, 6) as week_count
),

judged_hours as (
    select distinct
        series,
        hour_start_at
    from {{ points }}
    where is_judged
),

-- Typical of this hour of the week or of the day, each once it was seen often enough to tell.
seasons as (
    select
        judged_hours.series,
        judged_hours.hour_start_at,
        season_lags.is_weekly,
        percentile_cont(0.5) within group (order by seen.value) as typical_value
    from judged_hours
    cross join season_lags
    inner join {{ points }} as seen
        on judged_hours.series = seen.series
        and judged_hours.hour_start_at - season_lags.lag_hours * interval '1 hour'
        = seen.hour_start_at
    group by judged_hours.series, judged_hours.hour_start_at, season_lags.is_weekly
    having count(distinct season_lags.lag_hours) >= case when season_lags.is_weekly then 3 else 2 end
),

typical as (
    select
        series,
        hour_start_at,
        coalesce(
            min(typical_value) filter (where is_weekly), min(typical_value)
        ) as typical_value
    from seasons
    group by series, hour_start_at
),

expected as (
    select
        {{ points }}.*,
        coalesce({{ points }}.known_value, typical.typical_value) as expected_value
    from {{ points }}
    left join typical
        on {{ points }}.is_judged
        and {{ points }}.series = typical.series
        and {{ points }}.hour_start_at = typical.hour_start_at
),

-- What was known before each hour: its points are judged by the same deviations.
known as (
    select distinct
        series,
        hour_start_at,
        is_judged,
        count(expected_value) over before_it as known_count,
        count(expected_value) over outdated as outdated_count,
        min(hour_start_at) filter (where expected_value is not null) over recent as known_since
    from expected
    window
        before_it as (
            partition by series order by hour_start_at
            groups between unbounded preceding and 1 preceding
        ),
        outdated as (
            partition by series order by hour_start_at
            range between unbounded preceding and interval '42 days' preceding
        ),
        recent as (
            partition by series order by hour_start_at
            range between interval '42 days' preceding and current row
        )
),

deviations as (
    select
        series,
        array_agg(abs(value - expected_value) order by at) as deviations
    from expected
    where expected_value is not null
    group by series
),

-- The deviation that one earlier point in a hundred exceeds.
usual as (
    select
        known.series,
        known.hour_start_at,
        (
            select percentile_disc(0.99) within group (order by deviation)
            from unnest(
                deviations.deviations[
                    greatest(known.outdated_count, known.known_count - 1000) + 1:known.known_count
                ]
            ) as deviation
        ) as deviation
    from known
    inner join deviations on known.series = deviations.series
    where known.is_judged
        and known.known_since <= known.hour_start_at - interval '1 day'
        and known.known_count - known.outdated_count >= 5
),

scaled as (
    select
        expected.*,
        usual.deviation + greatest({{ normal_percentile_99() }} * ({{ noise }}) - usual.deviation, 0)
            as usual_deviation
    from expected
    left join usual
        on expected.is_judged
        and expected.series = usual.series
        and expected.hour_start_at = usual.hour_start_at
),

scored as (
    select
        series,
        at,
        is_judged,
        expected_value,
        usual_deviation,
        case
            when not is_judged then known_score
            when usual_deviation is null or expected_value is null then null
            when value = expected_value or value < expected_value and not can_drop then 0
            when usual_deviation = 0 then {{ score_limit() }}
            else least(abs(value - expected_value) / usual_deviation, {{ score_limit() }})
        end as score
    from scaled
),

recent_scores as (
    select
        *,
        max(score) over (
            partition by series order by at
            range between interval '1 day' preceding and current row exclude current row
        ) as score_of_day_before
    from scored
),

judged as (
    select
        series,
        at,
        expected_value,
        expected_value - {{ anomalous_score() }} * usual_deviation as lower_bound,
        expected_value + {{ anomalous_score() }} * usual_deviation as upper_bound,
        score,
        score >= {{ anomalous_score() }} as is_anomaly,
        score > coalesce(score_of_day_before, 0) as is_news
    from recent_scores
    where is_judged
)
{% endmacro %}

{#- Deviations of twice what is usual are anomalies: never reached by chance in a normal series. -#}
{% macro anomalous_score() -%}
    2
{%- endmacro %}

{#- A score cannot be infinite, although nothing was ever usual in a series that never varied. -#}
{% macro score_limit() -%}
    1000
{%- endmacro %}

{#- 99 % of a normal distribution lie within so many standard deviations. -#}
{% macro normal_percentile_99() -%}
    2.576
{%- endmacro %}

{#-
  Judges the series of a table of `series`, `at` and `value` from scratch, into another table:
    dbt run-operation judge_series --args '{points: nab.points, judged: nab.judged}'
-#}
{% macro judge_series(points, judged) %}
    {% do run_query('analyze ' ~ points) %}
    {% set statement %}
        create table {{ judged }} as
        with

        points as (
            select
                series,
                at,
                date_trunc('hour', at, 'UTC') as hour_start_at,
                value,
                true as can_drop,
                true as is_judged,
                null::double precision as known_value,
                null::double precision as known_score
            from {{ points }}
        ),

        {{ judged_points('points') }}

        select * from judged
    {% endset %}
    {% do run_query(statement) %}
    {% do run_query('commit') %}
{% endmacro %}
