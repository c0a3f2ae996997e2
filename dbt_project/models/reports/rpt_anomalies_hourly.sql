with

anomalies as (
    select * from {{ ref('fct_anomalies_hourly') }}
    where hour_start_at >= now() - interval '14 days'
),

projects as (
    select * from {{ source('app', 'projects') }}
),

-- A model that was as expected throughout is in no chart, so that the pages stay small.
unusual as (
    select distinct
        project_id,
        provider_name,
        model
    from anomalies
    where is_anomaly
),

final as (
    select
        anomalies.hour_start_at,
        anomalies.tenant_id,
        anomalies.project_id,
        projects.name as project_name,
        anomalies.provider_name,
        anomalies.model,
        anomalies.metric,
        anomalies.value,
        anomalies.expected_value,
        anomalies.lower_bound,
        anomalies.upper_bound,
        anomalies.score,
        anomalies.is_anomaly,
        anomalies.is_onset,
        anomalies.direction
    from anomalies
    inner join projects on anomalies.project_id = projects.project_id
    left join unusual
        on anomalies.project_id = unusual.project_id
        and anomalies.provider_name = unusual.provider_name
        and anomalies.model = unusual.model
    where anomalies.model is null or unusual.model is not null
)

select * from final
