{{ config(meta={'dagster': {'ref': {'name': 'fct_llm_calls'}}}) }}

-- Raw rows of the newest loads against the fact, up to the newest row that it holds. The bound is
-- joined: as a subquery in `where`, TimescaleDB's parallel append takes it for null.
with

newest as (
    select max(loaded_at) as loaded_at from {{ ref('fct_llm_calls') }}
),

raw_calls as (
    select count(*) as call_count
    from {{ ref('stg_ingest__llm_calls') }} as calls
    inner join newest on calls.loaded_at <= newest.loaded_at
    where calls.loaded_at > now() - interval '2 minutes'
),

built_calls as (
    select count(*) as call_count
    from {{ ref('fct_llm_calls') }}
    where loaded_at > now() - interval '2 minutes'
)

select
    raw_calls.call_count as raw_call_count,
    built_calls.call_count as built_call_count
from raw_calls
cross join built_calls
where raw_calls.call_count <> built_calls.call_count
