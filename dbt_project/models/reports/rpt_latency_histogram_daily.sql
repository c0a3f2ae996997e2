{#- Four bins a doubling, each 19 % wide: as fine as a chart shows. -#}
{% set bins_per_doubling = 4 %}

with

latency as (
    select
        *,
        ceil(ln({{ bin_seconds('bin_index') }}) / ln(2.0) * {{ bins_per_doubling }}) as chart_bin
    from {{ ref('fct_latency_daily') }}
    where bin_index is not null
),

final as (
    select
        usage_date,
        tenant_id,
        project_id,
        provider_name,
        model,
        metric,
        round((2 ^ (chart_bin / {{ bins_per_doubling }}))::numeric, 6) as bin_upper_seconds,
        sum(call_count)::bigint as call_count
    from latency
    group by 1, 2, 3, 4, 5, 6, 7
)

select * from final
