-- A model without one priced call has no cost: null, never 0.
select
    provider_name,
    model,
    sum(call_count) as call_count,
    sum(unpriced_call_count) as unpriced_call_count,
    min(unpriced_reason) as unpriced_reason,
    (array_agg(price_source order by last_called_at desc)
        filter (where price_source is not null))[1] as price_source,
    (array_agg(price_valid_from order by last_called_at desc)
        filter (where price_source is not null))[1] as price_valid_from,
    (array_agg(catalog_version order by last_called_at desc)
        filter (where price_source is not null))[1] as catalog_version,
    min(first_called_at) as first_called_at,
    max(last_called_at) as last_called_at,
    sum(total_cost_usd) as total_cost_usd,
    sum(uncached_input_cost_usd) as uncached_input_cost_usd,
    sum(cache_read_cost_usd) as cache_read_cost_usd,
    sum(cache_write_cost_usd) as cache_write_cost_usd,
    sum(output_cost_usd) as output_cost_usd,
    sum(request_cost_usd) as request_cost_usd
from reports.rpt_cost_by_model
group by provider_name, model
order by provider_name, model
