{{ config(
    materialized='table',
    indexes=[{'columns': ['provider_name', 'request_model', 'response_model']}],
) }}

{% set combination = 'scope_id, provider_name, request_model, response_model' %}

with

scoped_candidates as (
    select * from {{ ref('int_price_scoped_candidates') }}
),

model_prices as (
    select * from {{ ref('stg_pricing__model_prices') }}
),

tiers as (
    select distinct
        revision_id,
        service_tier,
        valid_from,
        valid_to
    from model_prices
),

-- A service tier may change its price when the default does not.
tier_periods as (
    select
        {{ combination }},
        tiers.valid_from,
        tiers.valid_to
    from scoped_candidates
    inner join tiers using (revision_id)
),

{{ spans('started', 'tier_periods', combination, ['valid_from', 'valid_to']) }},

{{ spans('asked', 'scoped_candidates', combination,
         ['known_from', 'known_to', "'-infinity'::timestamptz", "'infinity'::timestamptz"]) }},

-- What was known when it was asked for, best book and closest name first; else what came next.
chosen as (
    select distinct on ({{ combination }}, started_spans.started_from, asked_spans.asked_from)
        {{ combination }},
        started_spans.started_from,
        started_spans.started_to,
        asked_spans.asked_from,
        asked_spans.asked_to,
        candidates.revision_id
    from scoped_candidates as candidates
    inner join started_spans using ({{ combination }})
    inner join asked_spans using ({{ combination }})
    where candidates.valid_from <= started_spans.started_from
        and candidates.valid_to >= started_spans.started_to
        and candidates.known_to > asked_spans.asked_from
    order by
        {{ combination }}, started_spans.started_from, asked_spans.asked_from,
        greatest(candidates.known_from, asked_spans.asked_from),
        candidates.book_rank, candidates.name_rank
),

final as (
    select
        {{ combination }},
        chosen.started_from,
        chosen.started_to,
        chosen.asked_from,
        chosen.asked_to,
        revision_id,
        jsonb_agg(distinct tiers.service_tier) as priced_service_tiers
    from chosen
    inner join tiers using (revision_id)
    where tiers.valid_from <= chosen.started_from and tiers.valid_to >= chosen.started_to
    group by
        {{ combination }}, chosen.started_from, chosen.started_to, chosen.asked_from,
        chosen.asked_to, revision_id
)

select * from final
