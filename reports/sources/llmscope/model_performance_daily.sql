select
    usage_date,
    project_name,
    provider_name,
    model,
    call_count,
    error_count,
    output_tokens,
    total_cost_usd,
    output_tokens_per_second
from reports.rpt_model_performance_daily
order by usage_date, provider_name, model
