select
    usage_date,
    project_name,
    provider_name,
    model,
    error_type,
    error_count
from reports.rpt_errors_daily
order by usage_date, error_type
