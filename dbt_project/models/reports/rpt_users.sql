with

projects as (
    select * from {{ source('app', 'projects') }}
),

final as (
    select
        projects.name as project_name,
        marts.*
    from {{ ref('dim_users') }} as marts
    inner join projects on marts.project_id = projects.project_id
)

select * from final
