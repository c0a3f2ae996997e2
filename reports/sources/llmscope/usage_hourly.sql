select
    usage_hour,
    project_name,
    provider_name,
    model,
    call_count,
    error_count,
    input_tokens,
    output_tokens,
    total_cost_usd,
    unpriced_call_count
from reports.rpt_usage_hourly
order by usage_hour, provider_name, model
