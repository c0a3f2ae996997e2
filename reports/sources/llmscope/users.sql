-- The browser gets the users that matter; all of them are in the mart.
select
    project_name,
    user_id,
    first_seen_at,
    last_seen_at,
    cohort_month,
    active_day_count,
    call_count,
    error_count,
    input_tokens,
    output_tokens,
    total_cost_usd,
    unpriced_call_count
from reports.rpt_users
order by total_cost_usd desc nulls last, call_count desc
limit 2000
