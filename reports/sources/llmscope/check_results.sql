-- One row per check: its latest outcome.
select distinct on (asset_key, check_name)
    checked_at,
    asset_key,
    check_name,
    severity,
    is_passed,
    failed_count,
    description
from app.check_results
order by asset_key, check_name, checked_at desc
