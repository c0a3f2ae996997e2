{% set rules = [] %}
{% for bucket, price_kinds in buckets().items() %}
    {% do rules.append({
        'bucket': bucket,
        'price_kinds': price_kinds,
        'count_terms': bucket_counts()[bucket],
        'is_surcharge': bucket in surcharges(),
    }) %}
{% endfor %}

with

final as (
    select
        '{{ tojson(rules) }}'::jsonb as buckets,
        '{{ tojson(usage_details_paths()) }}'::jsonb as usage_details_paths,
        '{{ tojson(operations_around_calls()) }}'::jsonb as operations_around_calls
)

select * from final
