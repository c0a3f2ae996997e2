-- A model without one priced call has no cost: null, never 0.
select
    provider_name,
    model,
    call_count,
    unpriced_call_count,
    unpriced_reason,
    price_source,
    price_valid_from,
    catalog_version,
    first_called_at,
    last_called_at,
    total_cost_usd,
    uncached_input_cost_usd,
    cache_read_cost_usd,
    cache_write_cost_usd,
    output_cost_usd,
    request_cost_usd
from reports.rpt_cost_by_model
order by provider_name, model
