select
    project_id,
    event_id,
    started_at,
    total_cost_usd
from {{ ref('fct_llm_calls') }}
where cost_computed_at > now() - interval '2 minutes'
    and total_cost_usd <> uncached_input_cost_usd + cache_read_cost_usd + cache_write_5m_cost_usd
    + cache_write_1h_cost_usd + input_audio_cost_usd + input_image_cost_usd + output_cost_usd
    + output_audio_cost_usd + request_cost_usd
