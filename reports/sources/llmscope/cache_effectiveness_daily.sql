select
    usage_date,
    project_name,
    provider_name,
    model,
    call_count,
    input_tokens,
    cache_read_input_tokens,
    cache_write_input_tokens,
    saved_usd,
    cache_write_premium_usd,
    wasted_usd,
    net_saved_usd
from reports.rpt_cache_effectiveness_daily
order by usage_date, project_name, provider_name, model
