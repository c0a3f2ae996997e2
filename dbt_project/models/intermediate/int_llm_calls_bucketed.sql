with

calls as (
    select * from {{ ref('stg_ingest__llm_calls') }}
),

requests as (
    select * from {{ source('app', 'cost_restatements') }}
),

modalities as (
    select
        *,
        -- Greatest leaves nulls out: a call that no request covers is priced as of its load.
        greatest(loaded_at, (
            select max(requests.requested_at) from requests
            where {{ covers('requests', 'calls') }}
        )) as priced_as_of,
        coalesce(cache_read_audio_tokens, 0) as cached_audio,
        coalesce(cache_read_image_tokens, 0) as cached_image,
        coalesce(cache_read_video_tokens, 0) as cached_video,
        coalesce(input_video_tokens, 0) as video_input,
        coalesce(output_image_tokens, 0) as image_output,
        coalesce(output_video_tokens, 0) as video_output,
        coalesce(output_citation_tokens, 0) as citation_output,
        input_tokens - cache_read_input_tokens - cache_write_input_tokens as uncached_input_tokens
    from calls
),

final as (
    select
        {% for bucket in buckets() %}
        {{ bucket_count(bucket) }} as {{ bucket }}_count,
        {% endfor %}
        *
    from modalities
)

select * from final
