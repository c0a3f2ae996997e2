{{ config(**roll_up_config('usage_hour')) }}

with

projects as (
    select * from {{ source('app', 'projects') }}
),

touched as (
    {{ touched_periods(ref('fct_llm_calls'), 'hour', 'started_at', 'cost_computed_at') }}
    {% if is_incremental() %}
    union
    select
        project_id,
        usage_hour as period_start
    from {{ this }}
    where project_id in ({{ projects_with_new_tags() }})
    {% endif %}
),

calls as (
    {{ rows_of_touched(ref('fct_llm_calls'), 'hour', 'started_at') }}
),

tagged as (
    select
        calls.*,
        {{ declared_tags('calls.tags', 'projects.rollup_tags') }} as declared_tags
    from calls
    inner join projects on calls.project_id = projects.project_id
),

final as (
    select
        period_start as usage_hour,
        {{ attributed_dimensions() }},
        declared_tags as tags,
        {{ measures_of_calls() }},
        now() as refreshed_at
    from tagged
    group by period_start, declared_tags, {{ attributed_dimensions(is_grouping=true) }}
)

select * from final
