select
    project_name,
    cohort_month,
    usage_month,
    cohort_age_months,
    cohort_user_count,
    active_user_count,
    retention_ratio,
    call_count,
    total_cost_usd
from reports.rpt_user_cohorts
order by project_name, cohort_month, usage_month
