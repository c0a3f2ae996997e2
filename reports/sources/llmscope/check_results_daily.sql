-- One row per UTC day and check: how often it passed and failed, and how bad it was.
select
    (checked_at at time zone 'UTC')::date as checked_date,
    asset_key,
    check_name,
    severity,
    count(*) filter (where is_passed) as passed_count,
    count(*) filter (where not is_passed) as failed_run_count,
    max(failed_ratio) as highest_failed_ratio,
    max(failed_count) as highest_failed_count
from app.check_results
group by 1, 2, 3, 4
order by 1, 2, 3
