-- One row per check: its latest outcome.
select
    checked_at,
    asset_key,
    check_name,
    severity,
    is_passed,
    failed_count,
    failed_ratio,
    array_to_string(sample_ids[1:3], ' ') as sample_ids,
    description
from (
    select distinct on (asset_key, check_name) *
    from app.check_results
    order by asset_key, check_name, checked_at desc
) as latest
order by asset_key, check_name
