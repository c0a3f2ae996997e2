select
    usage_date,
    project_name,
    environment,
    service_name,
    provider_name,
    model,
    operation_name,
    call_count,
    error_count,
    stream_count,
    input_tokens,
    uncached_input_tokens,
    cache_read_input_tokens,
    cache_write_input_tokens,
    output_tokens,
    reasoning_output_tokens,
    total_cost_usd,
    unpriced_call_count,
    missing_usage_call_count
from reports.rpt_usage_daily
order by usage_date, provider_name, model
