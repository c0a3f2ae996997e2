with

calls as (
    select * from {{ ref('int_llm_calls_bucketed') }}
),

model_matches as (
    select * from {{ ref('int_model_matches') }}
),

price_choices as (
    select * from {{ ref('int_price_choices') }}
),

model_prices as (
    select * from {{ ref('int_model_prices') }}
),

chosen as (
    select
        calls.*,
        {{ first_choice('revision_id') }} as revision_id,
        {{ first_choice('priced_service_tiers') }} as priced_service_tiers
    from calls
    {% for scope in price_scopes() %}
    {{ left_join_choice(scope) }}
    {% endfor %}
),

with_prices as (
    select
        {% for bucket in buckets() %}
        {{ bucket_price(bucket, 'usd_per_million') }} as {{ bucket }}_usd_per_million,
        {{ bucket_price(bucket, 'price_id') }} as {{ bucket }}_price_id,
        {% endfor %}
        calls.*,
        coalesce(prices.catalog_provider, matches.catalog_provider) as catalog_provider,
        coalesce(prices.catalog_model, matches.catalog_model) as catalog_model,
        coalesce(prices.service_tier, 'default') as price_service_tier,
        case
            when calls.revision_id is not null then null
            when matches.provider_name is null then 'not_resolved'
            else coalesce(matches.unmatched_reason, 'no_price')
        end as unmatched_reason,
        coalesce(
            prices.input_price_id, prices.output_price_id, prices.hour_price_id
        ) is null as has_no_price,
        prices.hour_price_id is not null as is_priced_by_hour,
        {% for modality in modalities() %}
        prices.cache_read_{{ modality }}_price_id is not null as has_cached_{{ modality }}_price
        {%- if not loop.last %},{% endif %}
        {% endfor %}
    from chosen as calls
    {{ left_join_match() }}
    left join model_prices as prices
        on calls.revision_id = prices.revision_id
        and prices.service_tier = case
            when jsonb_exists(calls.priced_service_tiers, calls.service_tier)
                then calls.service_tier
            else 'default'
        end
        and calls.started_at >= prices.valid_from
        and calls.started_at < prices.valid_to
        and (calls.started_at at time zone 'UTC')::time >= prices.daily_start_time
        and (calls.started_at at time zone 'UTC')::time < prices.daily_end_time
        and (prices.tier_start_tokens = 0 or calls.input_tokens > prices.tier_start_tokens)
        and (prices.tier_end_tokens is null or calls.input_tokens <= prices.tier_end_tokens)
),

judged as (
    select
        *,
        {{ unpriced_reason() }} as unpriced_reason
    from with_prices
),

final as (
    select
        {% for bucket in buckets() %}
        case
            when unpriced_reason is null
                then coalesce({{ bucket }}_count * {{ bucket }}_usd_per_million * 0.000001, 0)
        end as {{ bucket }}_bucket_usd,
        {% endfor %}
        *
    from judged
)

select * from final
