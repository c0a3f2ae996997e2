{#- What fct_anomalies_hourly judges: its series, and from which hour on. -#}

{#-
  The newest hour that any call was made in, as a literal: the hour that is under way. Calls that
  are dated in the future wait until it is theirs.
-#}
{% macro newest_usage_hour() -%}
    {%- if execute -%}
        {%- set sql -%}
            select greatest(
                (
                    select max(usage_hour) from {{ ref('fct_model_usage_hourly') }}
                    where refreshed_at > '{{ newest('refreshed_at') }}' and usage_hour <= now()
                ),
                '{{ newest('hour_start_at') }}'
            )::text
        {%- endset -%}
        {{ run_query(sql).columns[0].values()[0] }}
    {%- else -%}
        -infinity
    {%- endif -%}
{%- endmacro %}

{#-
  From which hour on a project is judged anew: the oldest that has changed, because all later ones
  were judged by it, and the one that was under way at the last build. Eight weeks back at most.
-#}
{% macro starts_of_judging(judged_until) %}
    select
        project_id,
        greatest(
            min(hour_start_at), '{{ judged_until }}'::timestamptz - interval '56 days'
        ) as start_at
    from (
        select
            project_id,
            usage_hour as hour_start_at
        from {{ ref('fct_model_usage_hourly') }}
        where refreshed_at > '{{ newest('refreshed_at') }}'
            and usage_hour <= '{{ judged_until }}'
        {%- if is_incremental() %}
        union all
        select
            project_id,
            hour_start_at
        from {{ this }}
        where hour_start_at = '{{ newest('hour_start_at') }}'
            and hour_start_at < '{{ judged_until }}'
        {%- endif %}
    ) as changed
    group by project_id
{% endmacro %}

{#- Hours with calls, by model and of all models (both names null). -#}
{% macro calls_of_series(judged_until) %}
    select
        usage.usage_hour as hour_start_at,
        usage.tenant_id,
        usage.project_id,
        usage.provider_name,
        usage.model,
        sum(usage.call_count)::bigint as call_count,
        sum(usage.error_count)::bigint as error_count,
        coalesce(sum(usage.total_cost_usd), 0) as total_cost_usd
    from starts
    cross join lateral (
        select * from {{ ref('fct_model_usage_hourly') }} as rows_below
        where rows_below.project_id = starts.project_id
            and rows_below.usage_hour >= starts.start_at
            and rows_below.usage_hour <= '{{ judged_until }}'
        offset 0
    ) as usage
    group by grouping sets (
        (
            usage.usage_hour, usage.tenant_id, usage.project_id, usage.provider_name, usage.model
        ),
        (usage.usage_hour, usage.tenant_id, usage.project_id)
    )
{% endmacro %}

{#- The same for the 95th percentile of durations. -#}
{% macro latencies_of_series(judged_until) %}
    select
        hour_start_at,
        project_id,
        provider_name,
        model,
        {{ quantile('duration', 0.95) }} as p95_duration_seconds
    from (
        select
            bins.*,
            'duration' as metric,
            {{ bin_seconds('bins.bin_index') }} as bin_seconds,
            sum(bins.call_count) over (bins_of_group order by bins.bin_index) as rank_count,
            sum(bins.call_count) over bins_of_group as group_count
        from (
            select
                latency.usage_hour as hour_start_at,
                latency.project_id,
                latency.provider_name,
                latency.model,
                latency.bin_index,
                sum(latency.call_count) as call_count
            from starts
            cross join lateral (
                select * from {{ ref('fct_latency_hourly') }} as rows_below
                where rows_below.project_id = starts.project_id
                    and rows_below.usage_hour >= starts.start_at
                    and rows_below.usage_hour <= '{{ judged_until }}'
                    and rows_below.metric = 'duration'
                    and rows_below.bin_index is not null
                offset 0
            ) as latency
            group by grouping sets (
                (
                    latency.usage_hour, latency.project_id, latency.provider_name, latency.model,
                    latency.bin_index
                ),
                (latency.usage_hour, latency.project_id, latency.bin_index)
            )
        ) as bins
        window bins_of_group as (
            partition by bins.project_id, bins.hour_start_at, bins.provider_name, bins.model
        )
    ) as ranked
    group by hour_start_at, project_id, provider_name, model
{% endmacro %}

{#- What was judged in the six weeks before, which no later call can change. -#}
{% macro judged_before() %}
    select judged_hours.*
    from starts
    cross join lateral (
        {%- if is_incremental() %}
        select * from {{ this }} as rows_before
        where rows_before.project_id = starts.project_id
            and rows_before.hour_start_at >= starts.start_at - interval '42 days'
            and rows_before.hour_start_at < starts.start_at
        offset 0
        {%- else %}
        select
            starts.start_at as hour_start_at,
            null::uuid as tenant_id,
            null::uuid as project_id,
            null::text as provider_name,
            null::text as model,
            null::text as metric,
            null::double precision as value,
            null::double precision as expected_value,
            null::double precision as score
        where false
        {%- endif %}
    ) as judged_hours
{% endmacro %}

{#-
  Every hour of every series: one without calls counts as zero calls that cost nothing, until four
  weeks after the last call.
-#}
{% macro hours_of_series(judged_until) %}
    select
        hour_start_at,
        tenant_id,
        project_id,
        provider_name,
        model,
        coalesce(call_count, 0)::bigint as call_count,
        coalesce(error_count, 0)::bigint as error_count,
        coalesce(total_cost_usd, 0) as total_cost_usd
    from (
        select
            hour_start_at,
            tenant_id,
            project_id,
            provider_name,
            model,
            sum(call_count) as call_count,
            sum(error_count) as error_count,
            sum(total_cost_usd) as total_cost_usd,
            bool_or(is_judged) as is_judged,
            max(max(hour_start_at) filter (where has_calls)) over (
                partition by project_id, provider_name, model order by hour_start_at
            ) as called_at
        from (
            select
                *,
                true as is_judged,
                true as has_calls
            from calls
            union all
            select
                hour_start_at,
                tenant_id,
                project_id,
                provider_name,
                model,
                null::bigint as call_count,
                null::bigint as error_count,
                null::numeric as total_cost_usd,
                false as is_judged,
                true as has_calls
            from history
            where metric = 'calls' and value > 0
            union all
            select
                empty_hours.hour_start_at,
                series.tenant_id,
                series.project_id,
                series.provider_name,
                series.model,
                0 as call_count,
                0 as error_count,
                0 as total_cost_usd,
                true as is_judged,
                false as has_calls
            from (
                select tenant_id, project_id, provider_name, model from calls
                union
                select tenant_id, project_id, provider_name, model from history
            ) as series
            inner join starts on series.project_id = starts.project_id
            cross join lateral generate_series(
                starts.start_at, '{{ judged_until }}'::timestamptz, interval '1 hour'
            ) as empty_hours (hour_start_at)
        ) as all_hours
        group by hour_start_at, tenant_id, project_id, provider_name, model
    ) as called
    where is_judged and called_at > hour_start_at - interval '28 days'
{% endmacro %}

{#- One text per project, model (or all) and metric. -#}
{% macro series_key(relation=none) -%}
    {%- set prefix = relation ~ '.' if relation else '' -%}
    row(
        {%- for name in ['project_id', 'provider_name', 'model', 'metric'] -%}
            {{ prefix }}{{ name }}{% if not loop.last %}, {% endif %}
        {%- endfor -%}
    )::text
{%- endmacro %}

{#-
  The standard deviation that a value has by chance: of counts by Poisson, of shares by the binomial
  distribution with one more success and failure (Laplace), of sums and percentiles about the value
  divided by the root of the calls, and a cent.
-#}
{% macro noise_of_metric() -%}
    case metric
        when 'calls' then sqrt(greatest(expected_value, 1))
        when 'cost' then 0.01 + expected_value / sqrt(greatest(call_count, 1))
        when 'latency' then expected_value / sqrt(greatest(call_count, 1))
        when 'error_rate' then sqrt(
            (expected_value * call_count + 1)
            * ((1 - expected_value) * call_count + 1)
            / (call_count + 2) ^ 2
            / call_count
        )
    end
{%- endmacro %}
