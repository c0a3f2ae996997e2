{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    on_schema_change='append_new_columns',
    unique_key=['budget_id', 'usage_date'],
    indexes=[{'columns': ['budget_id', 'usage_date'], 'unique': true}],
) }}

with

budgets as (
    select * from {{ source('app', 'budgets') }}
),

projects as (
    select * from {{ source('app', 'projects') }}
),

touched_days as (
    select distinct usage_date
    from {{ ref('fct_attributed_usage_daily') }}
    where refreshed_at > '{{ newest('refreshed_at') }}'
),

days as (
    select distinct usage_date from {{ ref('fct_model_usage_daily') }}
),

new_budgets as (
    select * from budgets
    {% if is_incremental() %}
    where budget_id not in (select built.budget_id from {{ this }} as built)
    {% endif %}
),

-- Every budget has a row for each touched day, spent or not: one without any row is new.
wanted_days as (
    select
        budgets.budget_id,
        touched_days.usage_date
    from budgets
    cross join touched_days
    union
    select
        new_budgets.budget_id,
        days.usage_date
    from new_budgets
    cross join days
),

-- Looked up by project and day, and once for all budgets: a join would read all days.
days_of_projects as (
    select distinct
        projects.project_id,
        wanted_days.usage_date as period_start
    from wanted_days
    inner join budgets on wanted_days.budget_id = budgets.budget_id
    inner join projects
        on budgets.tenant_id = projects.tenant_id
        and (budgets.project_id is null or budgets.project_id = projects.project_id)
),

usage as (
    {{ rows_of_touched(
        ref('fct_attributed_usage_daily'), 'day', 'usage_date', touched='days_of_projects'
    ) }}
),

final as (
    select
        budgets.budget_id,
        wanted_days.usage_date,
        budgets.tenant_id,
        budgets.project_id,
        coalesce(sum(usage.total_cost_usd), 0) as cost_usd,
        coalesce(sum(usage.call_count), 0)::bigint as call_count,
        coalesce(sum(usage.unpriced_call_count), 0)::bigint as unpriced_call_count,
        now() as refreshed_at
    from wanted_days
    inner join budgets on wanted_days.budget_id = budgets.budget_id
    left join usage
        on wanted_days.usage_date = usage.usage_date
        and budgets.tenant_id = usage.tenant_id
        and (budgets.project_id is null or budgets.project_id = usage.project_id)
        and (budgets.provider_name is null or budgets.provider_name = usage.provider_name)
        and (budgets.model is null or budgets.model = usage.model)
        and (budgets.service_name is null or budgets.service_name = usage.service_name)
        and (budgets.user_id is null or budgets.user_id = usage.user_id)
        and (
            budgets.tag_key is null
            or usage.tags @> jsonb_build_object(budgets.tag_key, budgets.tag_value)
        )
    where wanted_days.usage_date >= budgets.valid_from
        and wanted_days.usage_date < coalesce(budgets.valid_to, 'infinity')
    group by 1, 2, 3, 4
)

select * from final
