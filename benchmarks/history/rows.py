"""Raw calls by `generate_series`: ten models, eight services, 2,000 users, 200,000 calls a day."""

from typing import Any, Final

import psycopg

CALLS_PER_DAY: Final = 200_000
USERS: Final = 2_000
ROLLUP_TAGS: Final = ["feature", "customer_tier"]
# Of three projects the first has most of the calls.
PROJECTS: Final = ("history", "history-small", "history-smaller")
TENANTS: Final = ("history", "history", "history-neighbour")

CREATE_PROJECT: Final = """
with tenant as (
    insert into app.tenants (name) values (%(tenant)s)
    on conflict (name) do update set name = excluded.name returning tenant_id
)
insert into app.projects (tenant_id, name, rollup_tags)
select tenant_id, %(project)s, %(rollup_tags)s from tenant
on conflict do nothing
"""

# Call number n started n steps before the history's end, so that a longer history has the same
# newest days: what a build adds to them costs the same, and only what lies behind them differs.
# The six calls of a conversation lie 50 calls apart; user, service and project hang on the
# conversation. Rows are inserted in the order of time.
INSERT: Final = """
with projects as (
    select p.project_id, p.tenant_id, row_number() over (order by p.name) as project_number
    from app.projects as p where p.name = any(%(projects)s)
),
ended as (select ended_at from benchmark.history_ends),
numbers as (
    select n, n / 300 * 50 + n %% 50 as conversation
    from generate_series(%(last)s::bigint - 1, %(first)s::bigint, -1) as n
),
people as (
    select
        n, conversation,
        (hashint8(conversation) & 65535) / 65536.0 as dice,
        (hashint8(conversation + 7) & 65535) / 65536.0 as user_dice,
        (hashint8(conversation + 13) & 65535) / 65536.0 as tier_dice
    from numbers
),
services as (
    select *, 1 + floor(8 * user_dice)::int %% 8 as service from people
),
calls as (
    select
        *,
        1 + (service - 1 + 2 * (random() < 0.3)::int) %% 10 as model,
        random() < 0.02 as is_failed,
        random() < 0.6 as is_stream,
        greatest(1, exp(6.9 + random_normal()))::bigint as input,
        greatest(1, exp(5 + 0.9 * random_normal()))::bigint as output,
        case when random() < 0.4 then 0.3 + 0.6 * random() else 0 end as cached_share
    from services
)
insert into raw.llm_events (
    event_id, tenant_id, project_id, provider_name, request_model, response_model, operation_name,
    started_at, duration_seconds, time_to_first_chunk_seconds, is_stream, input_tokens,
    output_tokens, cache_read_input_tokens, usage_details, usage_source, usage_semantics,
    response_id, error_type, http_status_code, user_id, conversation_id, environment,
    service_name, tags, reported_cost_usd, sdk_name, sdk_version, received_at, loaded_at
)
select
    gen_random_uuid(), p.tenant_id, p.project_id,
    (array['openai', 'openai', 'openai', 'openai', 'anthropic', 'anthropic', 'gcp.gemini',
           'gcp.gemini', 'mistral_ai', 'openai'])[model],
    (array['gpt-4o-mini', 'gpt-4o', 'gpt-4.1', 'gpt-4.1-mini', 'claude-sonnet-4-5',
           'claude-haiku-4-5', 'gemini-2.5-flash', 'gemini-2.5-pro', 'mistral-small-latest',
           'text-embedding-3-small'])[model],
    null,
    case when model = 10 then 'embeddings' else 'chat' end,
    started_at, 0.3 + output * 0.012 * exp(0.3 * random_normal()),
    case when is_stream and not is_failed then 0.3 * exp(0.5 * random_normal()) end,
    is_stream,
    case when not is_failed then input end,
    case when is_failed or model = 10 then null else output end,
    case when not is_failed then floor(input * cached_share)::bigint end,
    case when not is_failed then jsonb_build_object(
        'prompt_tokens', input, 'completion_tokens', output,
        'prompt_tokens_details', jsonb_build_object('cached_tokens', floor(input * cached_share))
    ) end,
    'provider', 'inclusive', 'chatcmpl-' || md5(n::text),
    case when is_failed then (array['timeout', 'rate_limit', '500'])[1 + n %% 3] end,
    case when is_failed then (array[null, 429, 500])[1 + n %% 3] else 200 end,
    'user-' || floor(%(users)s * user_dice * user_dice), md5(conversation::text),
    case when tier_dice < 0.92 then 'production' when tier_dice < 0.98 then 'staging'
        else 'dev' end,
    (array['support-chat', 'document-search', 'code-review', 'ticket-triage', 'summaries',
           'translation', 'onboarding', 'reports'])[service],
    jsonb_build_object(
        'feature', 'feature-' || service,
        'customer_tier', (array['free', 'pro', 'enterprise'])[1 + floor(3 * tier_dice)::int],
        'experiment', 'experiment-' || n %% 20
    ),
    case when n %% 10 = 0 and not is_failed
        then round((input * 2e-6 + output * 1e-5)::numeric, 8) end,
    'llmscope-python', '0.1.0', started_at + interval '1 second', statement_timestamp()
from calls
cross join ended
cross join lateral (
    select ended.ended_at - n * %(step)s * interval '1 second' as started_at
) as times
inner join projects as p
    on p.project_number = case when dice < 0.7 then 1 when dice < 0.9 then 2 else 3 end
order by n desc
"""


def create_projects(connection: psycopg.Connection[Any]) -> None:
    """The projects that the calls belong to."""
    for project, tenant in zip(PROJECTS, TENANTS, strict=True):
        values = {"project": project, "tenant": tenant, "rollup_tags": ROLLUP_TAGS}
        connection.execute(CREATE_PROJECT, values)


def insert_calls(connection: psycopg.Connection[Any], first: int, last: int) -> None:
    """Insert the calls number `first` to `last` - 1, counted back from the end of the history."""
    connection.execute("select setseed(0.5)")
    values = {
        "first": first,
        "last": last,
        "projects": list(PROJECTS),
        "users": USERS,
        "step": 86_400 / CALLS_PER_DAY,
    }
    connection.execute(INSERT, values)
