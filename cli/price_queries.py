"""What `llmscope prices` asks the marts: models without a price, and what a model costs."""

from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from cli.errors import CliError

UNPRICED: Final = """
select provider_name, request_model, response_model, unpriced_reason as reason,
    count(*) as call_count, max(started_at) as last_called_at
from marts.fct_llm_calls
where total_cost_usd is null and unpriced_reason not in ('no_usage', 'missing_usage')
group by provider_name, request_model, response_model, unpriced_reason
order by call_count desc, provider_name, request_model, response_model
"""
PRICES: Final = """
with choice as (
    select revision_id from intermediate.int_price_choices as c
    join app.projects as p on p.project_id = %(project_id)s
    where provider_name = %(provider_name)s
        and %(model)s in (request_model, response_model)
        and now() >= started_from and now() < started_to
        and now() >= asked_from and now() < asked_to
        and c.scope_id in (p.project_id, p.tenant_id, '00000000-0000-0000-0000-000000000000')
    order by c.scope_id = p.project_id desc, c.scope_id = p.tenant_id desc, revision_id
    limit 1
)
select case book_rank when 1 then 'project' when 2 then 'tenant' when 3 then 'reviewed'
        else 'catalog' end as book,
    catalog_provider as provider, catalog_model as model, token_kind, usd_per_million,
    service_tier, tier_start_tokens, daily_start_time::text, daily_end_time::text, valid_from,
    price_id
from choice join staging.stg_pricing__model_prices using (revision_id)
where now() >= valid_from and now() < valid_to
order by service_tier <> 'default', service_tier, token_kind, tier_start_tokens, daily_start_time
"""


def unpriced_models(connection: psycopg.Connection) -> list[dict[str, Any]]:
    """Models whose calls have no cost for want of a price, most called first."""
    return _rows(connection, UNPRICED, {})


def model_prices(
    connection: psycopg.Connection, project_id: UUID, provider_name: str, model: str
) -> list[dict[str, Any]]:
    """The price rows that calls of a model take now; none where it has no price."""
    names = {"project_id": project_id, "provider_name": provider_name, "model": model}
    return _rows(connection, PRICES, names)


def _rows(
    connection: psycopg.Connection, statement: str, names: dict[str, Any]
) -> list[dict[str, Any]]:
    try:
        return connection.cursor(row_factory=dict_row).execute(statement, names).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise CliError("The marts are not built yet: send a call and wait a minute.") from None
