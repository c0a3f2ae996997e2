with

usage as (
    select * from {{ ref('fct_usage_daily') }}
),

model_prices as (
    select * from {{ source('pricing', 'model_prices') }}
),

models as (
    select
        tenant_id,
        project_id,
        provider_name,
        model,
        sum(call_count)::bigint as call_count,
        sum(total_cost_usd) as total_cost_usd,
        sum(uncached_input_cost_usd + input_audio_cost_usd + input_image_cost_usd)
            as uncached_input_cost_usd,
        sum(cache_read_cost_usd) as cache_read_cost_usd,
        sum(cache_write_cost_usd) as cache_write_cost_usd,
        sum(output_cost_usd + output_audio_cost_usd) as output_cost_usd,
        sum(request_cost_usd) as request_cost_usd,
        sum(unpriced_call_count)::bigint as unpriced_call_count,
        min(first_called_at) as first_called_at,
        max(last_called_at) as last_called_at,
        {{ newest_value(
            'last_price_id',
            by='last_called_at',
            where='last_price_id is not null'
        ) }} as last_price_id
    from usage
    group by tenant_id, project_id, provider_name, model
),

reasons as (
    select distinct on (project_id, provider_name, model)
        project_id,
        provider_name,
        model,
        unpriced_reason
    from usage
    where unpriced_call_count > 0
    group by project_id, provider_name, model, unpriced_reason
    order by
        project_id, provider_name, model, sum(unpriced_call_count) desc, unpriced_reason
),

final as (
    select
        models.*,
        reasons.unpriced_reason,
        model_prices.source as price_source,
        model_prices.valid_from as price_valid_from,
        model_prices.catalog_version
    from models
    left join reasons
        on models.project_id = reasons.project_id
        and models.provider_name = reasons.provider_name
        and models.model = reasons.model
    left join model_prices on models.last_price_id = model_prices.price_id
)

select * from final
