{#- How long a provider keeps a prefix cached at the least, and how soon a retry follows. -#}
{% macro cache_lifetime() -%} interval '5 minutes' {%- endmacro %}
{% macro retry_delay() -%} interval '1 minute' {%- endmacro %}

{#-
  A turn looks back at the one before, and that at the one before it: calls from this long before
  a period suffice to judge the calls of the period.
-#}
{% macro evidence_reach() -%} interval '10 minutes' {%- endmacro %}

{#- Providers cache no shorter prefix. -#}
{% macro least_cached_tokens() -%} 1024 {%- endmacro %}

{#- Outputs by powers of two: bin 10 holds 513 to 1,024 tokens. -#}
{% macro output_bin() -%}
    ceil(log(2, greatest(output_tokens, 1)::numeric))::integer
{%- endmacro %}

{#- A part without a price of its own costs what the whole costs (see macros/prices.sql). -#}
{% macro listed_prices(tier) -%}
    lists.{{ tier }}input_usd as {{ tier }}input_usd_per_million,
        coalesce(lists.{{ tier }}cache_read_usd, lists.{{ tier }}input_usd)
            as {{ tier }}cache_read_usd_per_million,
        coalesce(lists.{{ tier }}cache_write_usd, lists.{{ tier }}input_usd)
            as {{ tier }}cache_write_usd_per_million,
        coalesce(
            lists.{{ tier }}cache_write_1h_usd, lists.{{ tier }}cache_write_usd,
            lists.{{ tier }}input_usd
        ) as {{ tier }}cache_write_1h_usd_per_million,
        lists.{{ tier }}output_usd as {{ tier }}output_usd_per_million
{%- endmacro %}

{#- The price list of a call: that of its input, and where all input was cached, of its cache reads. -#}
{% macro price_list_id(calls) -%}
    coalesce({{ calls }}.uncached_input_price_id, {{ calls }}.cache_read_price_id)
{%- endmacro %}

{#-
  CTEs from `calls` (rows of fct_llm_calls) to `judged_calls`: what each call could have saved. The
  mart of advice adds these up, and its proofs run them over the calls themselves.
    period: further columns that windows must not cross
    price_lists: relation of dim_price_lists
-#}
{% macro judge_calls(price_lists, period='') %}
listed_calls as (
    select
        calls.*,
        lists.input_usd_per_million as list_input,
        lists.cache_read_usd_per_million as list_cache_read,
        greatest(lists.cache_write_usd_per_million - lists.input_usd_per_million, 0)
            as list_write_premium,
        case
            when not calls.is_stream and not calls.is_error and calls.conversation_id is null
                and calls.price_service_tier = 'default'
                and calls.input_audio_tokens + calls.input_image_tokens + calls.output_audio_tokens
                = 0
                then (
                    calls.uncached_input_tokens * lists.batch_input_usd_per_million
                    + calls.cache_read_input_tokens * lists.batch_cache_read_usd_per_million
                    + (calls.cache_write_input_tokens - calls.cache_write_1h_input_tokens)
                    * lists.batch_cache_write_usd_per_million
                    + calls.cache_write_1h_input_tokens
                    * lists.batch_cache_write_1h_usd_per_million
                    + calls.output_tokens * lists.batch_output_usd_per_million
                ) * 0.000001 + calls.request_cost_usd
        end as batch_cost_usd
    from calls
    left join {{ price_lists }} as lists
        on {{ price_list_id('calls') }} = lists.price_id
        and calls.started_at >= lists.valid_from
        and calls.started_at < lists.valid_to
),

followed_calls as (
    select
        *,
        lag(started_at) over same_prompt as asked_before_at,
        lag(is_error) over same_prompt as asked_before_is_error,
        lag(total_cost_usd) over same_prompt as asked_before_cost_usd,
        case
            when conversation_id is not null and cache_read_input_tokens = 0
                and list_cache_read < list_input
                and lag(started_at) over same_talk >= started_at - {{ cache_lifetime() }}
                and least(input_tokens, lag(input_tokens) over same_talk)
                >= {{ least_cached_tokens() }}
                then least(input_tokens, lag(input_tokens) over same_talk)
        end as repeated_tokens,
        row_number() over (
            partition by {{ period }} project_id, provider_name, response_id
            order by started_at, event_id
        ) as response_number
    from listed_calls
    window
        same_prompt as (
            partition by
                {{ period }} project_id, service_name, user_id,
                provider_name, coalesce(request_model, model), input_tokens
            order by started_at, event_id
        ),
        same_talk as (
            partition by {{ period }} project_id, conversation_id, provider_name, model
            order by started_at, event_id
        )
),

judged_calls as (
    select
        *,
        response_id is not null and response_number > 1 as is_double_count_suspect,
        case
            when asked_before_is_error and input_tokens > 0
                and asked_before_at >= started_at - {{ retry_delay() }}
                then nullif(asked_before_cost_usd, 0)
        end as retried_cost_usd,
        repeated_tokens * (list_input - list_cache_read) * 0.000001
        - greatest(repeated_tokens - coalesce(lag(repeated_tokens) over same_talk, 0), 0)
        * coalesce(list_write_premium, 0) * 0.000001 as repeated_saving_usd,
        total_cost_usd - batch_cost_usd as batch_saving_usd
    from followed_calls
    window same_talk as (
        partition by {{ period }} project_id, conversation_id, provider_name, model
        order by started_at, event_id
    )
)
{% endmacro %}

{#-
  The calls of the hours in the CTE `touched`, and those shortly before that they are judged by.
  Lateral with `offset 0`, so that the index finds the calls of each hour: a join on the project
  alone would meet every call with every hour.
-#}
{% macro calls_of_touched_hours(calls) %}
    select
        calls.*,
        touched.period_start as usage_hour
    from touched
    cross join lateral (
        select * from {{ calls }} as found
        where found.project_id = touched.project_id
            and found.started_at >= touched.period_start - {{ evidence_reach() }}
            and found.started_at < touched.period_start + interval '1 hour'
        offset 0
    ) as calls
{% endmacro %}
