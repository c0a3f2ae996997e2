{#-
  What FOCUS rows are made of: each kind with its unit, quantity and cost in terms of fct_usage_daily.
  Text, audio and images of one direction are one kind, because audio may have been cached, and
  the roll-ups do not say how much of it was.
-#}
{% macro focus_kinds() %}
    {{ return([
        ['input', 'Input tokens', 'Tokens', 1000000, 'uncached_input_tokens',
         'uncached_input_cost_usd + input_audio_cost_usd + input_image_cost_usd'],
        ['cache_read', 'Cached input tokens', 'Tokens', 1000000, 'cache_read_input_tokens',
         'cache_read_cost_usd'],
        ['cache_write_5m', 'Cache write tokens, 5 minutes', 'Tokens', 1000000,
         'cache_write_input_tokens - cache_write_1h_input_tokens', 'cache_write_5m_cost_usd'],
        ['cache_write_1h', 'Cache write tokens, 1 hour', 'Tokens', 1000000,
         'cache_write_1h_input_tokens', 'cache_write_1h_cost_usd'],
        ['output', 'Output tokens', 'Tokens', 1000000, 'output_tokens',
         'output_cost_usd + output_audio_cost_usd'],
        ['request', 'Requests', 'Requests', 1,
         'case when request_cost_usd > 0 then call_count else 0 end', 'request_cost_usd'],
    ]) }}
{% endmacro %}

{#- The kinds of one row of usage, as rows. -#}
{% macro focus_kinds_of_usage() -%}
    lateral (
        {%- for kind, meter, unit, priced_per, quantity, cost in focus_kinds() %}
        select '{{ kind }}' as token_kind, '{{ meter }}' as meter, '{{ unit }}' as unit,
            {{ priced_per }}::numeric as priced_per, {{ quantity }} as quantity, {{ cost }} as cost_usd
        {%- if not loop.last %} union all{% endif %}
        {%- endfor %}
    )
{%- endmacro %}

{#-
  The columns of the Cost and Usage dataset of FOCUS 1.3, in its order, which is that of the
  alphabet. A ledger knows one price: list, contracted, effective and billed cost are the same.
-#}
{% macro focus_columns() %}
    {%- set month = "date_trunc('month', charges.usage_date::timestamp)" -%}
    {%- set sku = "concat_ws('/', charges.provider_name, charges.model, charges.token_kind)" -%}
    {%- set columns = {
        'BilledCost': 'charges.cost_usd',
        'BillingAccountId': 'charges.tenant_id::text',
        'BillingAccountName': 'tenants.name',
        'BillingAccountType': "'Tenant'::text",
        'BillingCurrency': "'USD'::text",
        'BillingPeriodEnd': "(" ~ month ~ " + interval '1 month') at time zone 'UTC'",
        'BillingPeriodStart': month ~ " at time zone 'UTC'",
        'ChargeCategory': "'Usage'::text",
        'ChargeClass': 'null::text',
        'ChargeDescription': "charges.model || ': ' || lower(charges.meter)",
        'ChargeFrequency': "'Usage-Based'::text",
        'ChargePeriodEnd': "(charges.usage_date + 1)::timestamp at time zone 'UTC'",
        'ChargePeriodStart': "charges.usage_date::timestamp at time zone 'UTC'",
        'ConsumedQuantity': 'charges.quantity',
        'ConsumedUnit': 'charges.unit',
        'ContractedCost': 'charges.cost_usd',
        'ContractedUnitPrice': 'charges.cost_usd * charges.priced_per / charges.quantity',
        'EffectiveCost': 'charges.cost_usd',
        'HostProviderName': 'charges.provider_name',
        'InvoiceIssuerName': 'charges.provider_name',
        'ListCost': 'charges.cost_usd',
        'ListUnitPrice': 'charges.cost_usd * charges.priced_per / charges.quantity',
        'PricingCategory': "'Standard'::text",
        'PricingQuantity': 'charges.quantity / charges.priced_per',
        'PricingUnit': "case when charges.priced_per = 1 then charges.unit
            else charges.priced_per || ' ' || charges.unit end",
        'ProviderName': 'charges.provider_name',
        'PublisherName': 'charges.provider_name',
        'ServiceCategory': "'AI and Machine Learning'::text",
        'ServiceName': 'charges.model',
        'ServiceProviderName': 'charges.provider_name',
        'ServiceSubcategory': "'Generative AI'::text",
        'SkuId': sku,
        'SkuMeter': 'charges.meter',
        'SkuPriceId': sku,
        'SubAccountId': 'charges.project_id::text',
        'SubAccountName': 'projects.name',
        'SubAccountType': "'Project'::text",
        'Tags': "jsonb_build_object('environment', charges.environment, 'operation_name',
            charges.operation_name, 'service_name', charges.service_name)",
        'x_TokenKind': 'charges.token_kind',
    } -%}
    {%- for name, expression in columns.items() -%}
    {{ expression }} as "{{ name }}"{% if not loop.last %},
        {% endif %}
    {%- endfor %}
{%- endmacro %}
