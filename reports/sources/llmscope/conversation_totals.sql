select
    project_name,
    count(*) as conversation_count,
    sum(call_count) as call_count,
    sum(error_count) as error_count,
    sum(total_cost_usd) as total_cost_usd,
    percentile_cont(0.5) within group (order by length_seconds) as median_length_seconds
from reports.rpt_conversations
group by project_name
order by project_name
