with

model_prices as (
    select * from {{ source('pricing', 'model_prices') }}
),

books as (
    select
        *,
        coalesce(project_id, tenant_id, {{ everyone() }}) as scope_id,
        case
            when project_id is not null then 1
            when tenant_id is not null then 2
            when source = 'genai-prices' then 4
            else 3
        end as book_rank
    from model_prices
),

-- Rows of one model that were written together are one revision; the next one ends its life.
lives as (
    select
        *,
        first_value(created_at) over (
            partition by source, scope_id, catalog_provider, catalog_model
            order by created_at
            groups between 1 following and 1 following
        ) as replaced_at
    from books
),

final as (
    select
        price_id,
        md5(
            concat_ws(
                '|', source, scope_id, catalog_provider, catalog_model,
                extract(epoch from created_at)
            )
        )::uuid as revision_id,
        tenant_id,
        project_id,
        scope_id,
        book_rank,
        catalog_provider,
        catalog_model,
        token_kind,
        service_tier,
        tier_start_tokens,
        daily_start_time,
        daily_end_time,
        usd_per_million,
        valid_from,
        coalesce(valid_to, 'infinity') as valid_to,
        source,
        catalog_version,
        created_at as known_from,
        coalesce(replaced_at, 'infinity') as known_to
    from lives
)

select * from final
