-- Always one row: the pages greet a newcomer when it counts no call.
select
    max(refreshed_at) as refreshed_at,
    max(newest_started_at) as newest_started_at,
    max(newest_loaded_at) as newest_loaded_at,
    coalesce(sum(call_count), 0) as call_count,
    coalesce(sum(demo_call_count), 0) as demo_call_count,
    now() as published_at
from reports.rpt_freshness
