select
    hour_start_at,
    project_name,
    provider_name,
    coalesce(model, '(all models)') as model,
    metric,
    value,
    expected_value,
    lower_bound,
    upper_bound,
    score,
    is_anomaly,
    is_onset,
    direction
from reports.rpt_anomalies_hourly
order by hour_start_at, project_name, provider_name, model, metric
