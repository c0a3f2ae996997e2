select
    usage_date,
    project_name,
    budget_id::text as budget_id,
    budget_name,
    month_usd,
    cost_usd,
    spent_usd,
    used_ratio,
    burn_rate_usd,
    days_left_count,
    projected_month_usd,
    projected_ratio,
    projected_overrun_usd,
    unpriced_call_count
from reports.rpt_budget_use_daily
where usage_date >= current_date - 400
order by usage_date, project_name, budget_name
