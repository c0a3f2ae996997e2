select
    usage_date,
    provider_name,
    model,
    metric,
    bin_upper_seconds,
    sum(call_count) as call_count
from reports.rpt_latency_histogram_daily
group by usage_date, provider_name, model, metric, bin_upper_seconds
order by usage_date, provider_name, model, metric, bin_upper_seconds
