select
    project_name,
    advice_kind,
    service_name,
    operation_name,
    provider_name,
    model,
    suggested_model,
    period_start,
    period_end,
    saving_usd,
    -- JSON in words: two decimals, no braces and quotes.
    replace(regexp_replace(
        regexp_replace(evidence::text, '(\.\d\d)\d+', '\1', 'g'), '[{}"]', '', 'g'
    ), '_', ' ') as evidence,
    proof_sql
from reports.rpt_cost_advice
order by saving_usd desc
