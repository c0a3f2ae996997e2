{#-
  In each period that was built lately a roll-up holds what the layer below holds. `measures` maps
  the columns to compare to how the layer below counts them.
-#}
{% test adds_up_to(model, column_name, layer_below, started_at, period, measures) %}
    with

    periods as (
        select
            project_id,
            {{ start_of(column_name, period) }} as period_start,
            {{ compared(measures) }}
        from {{ model }}
        where refreshed_at > now() - interval '2 minutes'
        group by 1, 2
    ),

    below as (
        select
            periods.project_id,
            periods.period_start,
            {{ compared(measures, is_layer_below=true) }}
        from periods
        cross join lateral (
            select * from {{ layer_below }} as layer_below
            where layer_below.project_id = periods.project_id
                and layer_below.{{ started_at }} >= periods.period_start
                and layer_below.{{ started_at }}
                < periods.period_start + {{ length_of(period) }}
            offset 0
        ) as rows_below
        group by 1, 2
    )

    select periods.*
    from periods
    left join below using (project_id, period_start)
    where (periods.{{ measures | join(', periods.') }})
        is distinct from (below.{{ measures | join(', below.') }})
{% endtest %}
