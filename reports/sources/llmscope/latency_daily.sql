select
    usage_date,
    project_name,
    provider_name,
    model,
    call_count,
    p50_duration_seconds,
    p90_duration_seconds,
    p95_duration_seconds,
    p99_duration_seconds,
    p50_time_to_first_chunk_seconds,
    p95_time_to_first_chunk_seconds
from reports.rpt_latency_daily
order by usage_date, provider_name, model
