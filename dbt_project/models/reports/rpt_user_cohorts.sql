with

months as (
    select * from {{ ref('fct_user_usage_monthly') }}
),

users as (
    select * from {{ ref('dim_users') }}
),

projects as (
    select * from {{ source('app', 'projects') }}
),

cohorts as (
    select
        project_id,
        cohort_month,
        count(*) as cohort_user_count
    from users
    group by 1, 2
),

final as (
    select
        months.tenant_id,
        months.project_id,
        projects.name as project_name,
        users.cohort_month,
        months.usage_month,
        (
            extract(year from age(months.usage_month, users.cohort_month)) * 12
            + extract(month from age(months.usage_month, users.cohort_month))
        )::integer as cohort_age_months,
        cohorts.cohort_user_count,
        count(*) as active_user_count,
        count(*)::numeric / cohorts.cohort_user_count as retention_ratio,
        sum(months.call_count)::bigint as call_count,
        sum(months.total_cost_usd) as total_cost_usd
    from months
    inner join users on months.project_id = users.project_id and months.user_id = users.user_id
    inner join cohorts
        on users.project_id = cohorts.project_id and users.cohort_month = cohorts.cohort_month
    inner join projects on months.project_id = projects.project_id
    group by 1, 2, 3, 4, 5, 6, 7
)

select * from final
