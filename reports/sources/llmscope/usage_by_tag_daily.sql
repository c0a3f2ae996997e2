select
    usage_date,
    project_name,
    tag_key,
    tag_value,
    call_count,
    error_count,
    input_tokens,
    output_tokens,
    total_cost_usd,
    unpriced_call_count
from reports.rpt_usage_by_tag_daily
order by usage_date, project_name, tag_key, tag_value
