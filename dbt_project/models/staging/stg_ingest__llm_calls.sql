with

events as (
    select * from {{ source('ingest', 'llm_events') }}
),

held_events as (
    select * from {{ ref('stg_ingest__held_events') }}
),

renamed as (
    select
        *,
        coalesce(response_model, request_model) as model,
        coalesce(lower(service_tier), 'default') as requested_service_tier,
        coalesce(is_stream, false) as is_streamed,
        error_type is not null as is_error,
        coalesce(
            duration_seconds, extract(epoch from ended_at - started_at)::double precision
        ) as total_duration_seconds,
        coalesce(cache_read_input_tokens, 0) as cache_read_tokens,
        coalesce(cache_write_input_tokens, 0) as cache_write_tokens,
        input_tokens is not null or output_tokens is not null as has_usage
    from events
    -- Spans of agents and tools repeat the usage of the model calls inside them.
    where operation_name not in (
            {% for operation in operations_around_calls() %}
            '{{ operation }}'{{ ',' if not loop.last }}
            {% endfor %}
        )
        and (
            {{ is_sound() }}
            or exists (
                select from held_events
                where held_events.project_id = events.project_id
                    and held_events.started_at = events.started_at
                    and held_events.event_id = events.event_id
                    and held_events.released_at is not null
            )
        )
),

final as (
    select
        tenant_id,
        project_id,
        event_id,
        provider_name,
        model,
        request_model,
        response_model,
        operation_name,
        started_at,
        ended_at,
        total_duration_seconds as duration_seconds,
        time_to_first_chunk_seconds,
        is_streamed as is_stream,
        is_error,
        error_type,
        http_status_code,
        requested_service_tier as service_tier,
        usage_source,
        has_usage,
        case usage_semantics
            when 'cache_exclusive'
                then coalesce(input_tokens, 0) + cache_read_tokens + cache_write_tokens
            else coalesce(input_tokens, 0)
        end as input_tokens,
        coalesce(output_tokens, 0) as output_tokens,
        cache_read_tokens as cache_read_input_tokens,
        cache_write_tokens as cache_write_input_tokens,
        coalesce(cache_write_1h_input_tokens, 0) as cache_write_1h_input_tokens,
        coalesce(reasoning_output_tokens, 0) as reasoning_output_tokens,
        coalesce(input_audio_tokens, 0) as input_audio_tokens,
        coalesce(output_audio_tokens, 0) as output_audio_tokens,
        coalesce(input_image_tokens, 0) as input_image_tokens,
        -- These have no field in the event contract; providers report them in their own words.
        {% for column, paths in usage_details_paths().items() %}
        {{ usage_detail(paths) }} as {{ column }},
        {% endfor %}
        user_id,
        conversation_id,
        trace_id,
        span_id,
        response_id,
        environment,
        service_name,
        tags,
        reported_cost_usd,
        received_at,
        loaded_at
    from renamed
)

select * from final
