with

model_matches as (
    select * from {{ ref('stg_pricing__model_matches') }}
),

model_prices as (
    select * from {{ ref('stg_pricing__model_prices') }}
),

revision_periods as (
    select distinct
        revision_id,
        scope_id,
        tenant_id,
        book_rank,
        source,
        catalog_provider,
        catalog_model,
        known_from,
        known_to,
        valid_from,
        valid_to
    from model_prices
    where service_tier = 'default'
),

from_catalog as (
    select
        model_matches.provider_name,
        coalesce(model_matches.request_model, '') as request_model,
        coalesce(model_matches.response_model, '') as response_model,
        periods.revision_id,
        periods.scope_id,
        periods.tenant_id,
        periods.book_rank,
        0 as name_rank,
        greatest(periods.known_from, model_matches.known_from) as known_from,
        least(periods.known_to, model_matches.known_to) as known_to,
        periods.valid_from,
        periods.valid_to
    from model_matches
    inner join revision_periods as periods using (catalog_provider, catalog_model)
    where periods.source = 'genai-prices'
        and periods.known_from < model_matches.known_to
        and model_matches.known_from < periods.known_to
),

observed as (
    select distinct
        provider_name,
        coalesce(request_model, '') as request_model,
        coalesce(response_model, '') as response_model
    from model_matches
),

from_own_books as (
    select
        observed.provider_name,
        observed.request_model,
        observed.response_model,
        periods.revision_id,
        periods.scope_id,
        periods.tenant_id,
        periods.book_rank,
        {{ name_rank('periods.catalog_model', 'observed') }} as name_rank,
        periods.known_from,
        periods.known_to,
        periods.valid_from,
        periods.valid_to
    from revision_periods as periods
    inner join observed on periods.catalog_provider = observed.provider_name
    where periods.source <> 'genai-prices'
        and {{ is_named_by('periods.catalog_model', 'observed') }}
),

final as (
    select * from from_catalog
    union all
    select * from from_own_books
)

select * from final
