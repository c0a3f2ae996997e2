with

projects as (
    select * from {{ source('app', 'projects') }}
),

final as (
    select
        coalesce(projects.name, '(all projects)') as project_name,
        marts.*
    from {{ ref('fct_budget_use_daily') }} as marts
    left join projects on marts.project_id = projects.project_id
)

select * from final
