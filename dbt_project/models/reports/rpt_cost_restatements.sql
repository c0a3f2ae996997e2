with

restatements as (
    select * from {{ ref('fct_cost_restatements') }}
),

projects as (
    select * from {{ source('app', 'projects') }}
),

final as (
    select
        restatements.restatement_id,
        restatements.tenant_id,
        restatements.project_id,
        projects.name as project_name,
        restatements.requested_at,
        restatements.requested_by,
        restatements.reason,
        count(*) as call_count,
        min(restatements.started_at) as first_called_at,
        max(restatements.started_at) as last_called_at,
        sum(restatements.before_cost_usd) as before_cost_usd,
        sum(restatements.after_cost_usd) as after_cost_usd,
        count(*) filter (where restatements.before_cost_usd is null)
            as before_unpriced_call_count,
        count(*) filter (where restatements.after_cost_usd is null) as after_unpriced_call_count,
        max(restatements.restated_at) as restated_at
    from restatements
    inner join projects on restatements.project_id = projects.project_id
    group by 1, 2, 3, 4, 5, 6, 7
)

select * from final
