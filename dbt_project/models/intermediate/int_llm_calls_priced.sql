with

calls as (
    select * from {{ ref('int_llm_calls_bucketed') }}
),

model_matches as (
    select * from {{ ref('int_model_matches') }}
),

model_prices as (
    select * from {{ ref('int_model_prices') }}
),

matched as (
    select
        calls.*,
        matches.catalog_provider,
        matches.catalog_model,
        matches.price_changed_at,
        case
            when matches.provider_name is null then 'not_resolved'
            else matches.unmatched_reason
        end as unmatched_reason,
        case
            when jsonb_exists(matches.priced_service_tiers, calls.service_tier)
                then calls.service_tier
            else 'default'
        end as price_service_tier
    from calls
    -- coalesce, because a null equals nothing and `is not distinct from` cannot be hashed.
    left join model_matches as matches
        on calls.provider_name = matches.provider_name
        and coalesce(calls.request_model, '') = coalesce(matches.request_model, '')
        and coalesce(calls.response_model, '') = coalesce(matches.response_model, '')
),

with_prices as (
    select
        {% for bucket in buckets() %}
        {{ bucket_price(bucket, 'usd_per_million') }} as {{ bucket }}_usd_per_million,
        {{ bucket_price(bucket, 'price_id') }} as {{ bucket }}_price_id,
        {% endfor %}
        matched.*,
        prices.input_price_id is null and prices.output_price_id is null as has_no_price,
        prices.cache_read_audio_price_id is not null as has_cached_audio_price,
        prices.cache_read_image_price_id is not null as has_cached_image_price
    from matched
    left join model_prices as prices
        on matched.catalog_provider = prices.catalog_provider
        and matched.catalog_model = prices.catalog_model
        and matched.price_service_tier = prices.service_tier
        and matched.started_at >= prices.valid_from
        and matched.started_at < prices.valid_to
        and (matched.started_at at time zone 'UTC')::time >= prices.daily_start_time
        and (matched.started_at at time zone 'UTC')::time < prices.daily_end_time
        and (prices.tier_start_tokens = 0 or matched.input_tokens > prices.tier_start_tokens)
        and (prices.tier_end_tokens is null or matched.input_tokens <= prices.tier_end_tokens)
),

judged as (
    select
        *,
        case
            when not has_usage and is_error then 'no_usage'
            when not has_usage then 'missing_usage'
            when unmatched_reason is not null then unmatched_reason
            when has_no_price then 'no_price'
            when {{ any_price_has_negative_count() }} then 'invalid_usage'
            when {{ any_cached_modality_is_unknown() }} then 'ambiguous_usage'
            when {{ any_needed_price_is_missing() }} then 'no_price'
        end as unpriced_reason
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
