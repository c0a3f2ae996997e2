select
    usage_date,
    project_name,
    call_count,
    unpriced_call_count,
    missing_usage_call_count,
    missing_stream_usage_call_count,
    negative_uncached_input_call_count,
    late_call_count,
    double_count_suspect_call_count,
    held_event_count,
    dead_letter_count
from reports.rpt_data_quality_daily
order by usage_date, project_name
