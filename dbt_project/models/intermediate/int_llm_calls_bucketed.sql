with

calls as (
    select * from {{ ref('stg_ingest__llm_calls') }}
),

modalities as (
    select
        *,
        coalesce(cache_read_audio_tokens, 0) as cached_audio,
        coalesce(cache_read_image_tokens, 0) as cached_image,
        coalesce(output_image_tokens, 0) as image_output,
        input_tokens - cache_read_input_tokens - cache_write_input_tokens as uncached_input_tokens
    from calls
),

final as (
    select
        *,
        uncached_input_tokens - (input_audio_tokens - cached_audio)
        - (input_image_tokens - cached_image) as uncached_input_count,
        cache_read_input_tokens - cached_audio - cached_image as cache_read_count,
        cached_audio as cache_read_audio_count,
        cached_image as cache_read_image_count,
        cache_write_input_tokens - cache_write_1h_input_tokens as cache_write_5m_count,
        cache_write_1h_input_tokens as cache_write_1h_count,
        input_audio_tokens - cached_audio as input_audio_count,
        input_image_tokens - cached_image as input_image_count,
        output_tokens - reasoning_output_tokens - output_audio_tokens
        - image_output as output_count,
        reasoning_output_tokens as output_reasoning_count,
        output_audio_tokens as output_audio_count,
        image_output as output_image_count,
        1 as request_count,
        coalesce(reported_web_search_count, 0) as web_search_count
    from modalities
)

select * from final
