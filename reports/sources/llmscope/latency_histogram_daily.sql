select
    usage_date,
    provider_name,
    model,
    metric,
    bin_upper_seconds,
    call_count
from reports.rpt_latency_histogram_daily
order by usage_date, provider_name, model, metric, bin_upper_seconds
