"""Estimated costs while prices, Postgres or dbt's views are there, late or away.

That they equal the marts' costs is tested in `dbt_project/golden`.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from ingest_api.estimates import NO_CALL, NOT_LOADED, NOT_RESOLVED, CostEstimates
from ingest_api.events import Event
from ingest_api.price_rules import Rules, RulesError, counts_of

TENANT, PROJECT, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
# What dbt makes, in small: a million tokens cost one USD, for one project half of it; an hour of
# our own model costs 7,200 USD.
VIEWS = """
create schema intermediate;
create table intermediate.int_price_rules as select
    '[{"bucket": "uncached_input", "price_kinds": ["input"], "is_surcharge": false,
       "count_terms": {"input_tokens": 1, "cache_read_input_tokens": -1}},
      {"bucket": "cache_read", "price_kinds": ["cache_read", "input"], "is_surcharge": false,
       "count_terms": {"cache_read_input_tokens": 1}},
      {"bucket": "hour", "price_kinds": ["hour"], "is_surcharge": true,
       "count_terms": {"hours": 1}}]'::jsonb as buckets,
    '{"searches": ["$.found[*] ? (@.kind == \\"web\\").count", "$.web.searches"]}'::jsonb
        as usage_details_paths,
    '["invoke_agent"]'::jsonb as operations_around_calls;
create table intermediate.int_model_matches as select
    'openai' as provider_name, 'unpriced' as request_model, null::text as response_model,
    'unknown_model' as unmatched_reason;
create table intermediate.int_price_choices as select
    scope_id, 'openai' as provider_name, request_model, '' as response_model,
    '-infinity'::timestamptz as started_from, 'infinity'::timestamptz as started_to,
    asked_to, revision_id, '["default"]'::jsonb as priced_service_tiers
from (values
    (%(everyone)s::uuid, 'gpt-4o', 'infinity'::timestamptz, 1),
    (%(project)s, 'gpt-4o', 'infinity', 2),
    (%(project)s, 'gpt-4o', '2026-01-01', 3),
    (%(everyone)s, 'our-own', 'infinity', 3)
) as choices (scope_id, request_model, asked_to, revision_id);
create table intermediate.int_model_prices as select
    revision_id::text, 'default' as service_tier, '-infinity'::timestamptz as valid_from,
    'infinity'::timestamptz as valid_to, '00:00'::time as daily_start_time,
    '24:00'::time as daily_end_time, 0 as tier_start_tokens, null::int as tier_end_tokens,
    case when input_usd > 0 then gen_random_uuid() end as input_price_id,
    input_usd as input_usd_per_million,
    case when hour_usd > 0 then gen_random_uuid() end as hour_price_id,
    hour_usd as hour_usd_per_million
from (values (1, 1, null), (2, 0.5, null), (3, null, 7200000000))
    as prices (revision_id, input_usd, hour_usd);
"""


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def estimates(database_url: str, clock: Clock) -> AsyncIterator[CostEstimates]:
    async with AsyncConnectionPool(database_url, min_size=1, open=False) as pool:
        yield CostEstimates(pool, clock)


def call(**fields: object) -> Event:
    given = {"provider_name": "openai", "request_model": "gpt-4o", "input_tokens": 1_000_000}
    return msgspec.convert({"started_at": NOON, **given, **fields}, Event)


def create_views(database_url: str) -> None:
    with psycopg.ClientCursor(psycopg.connect(database_url, autocommit=True)) as cursor:
        cursor.execute(VIEWS, {"everyone": UUID(int=0), "project": OTHER})
        cursor.connection.close()


async def test_before_the_first_build_no_call_has_an_estimate(estimates: CostEstimates) -> None:
    assert estimates.estimate(call(), TENANT, PROJECT) == (None, NOT_LOADED)
    await estimates.refresh()
    assert estimates.estimate(call(), TENANT, PROJECT) == (None, NOT_LOADED)


@pytest.mark.parametrize(
    ("fields", "project_id", "expected"),
    [
        ({}, PROJECT, (Decimal(1), None)),
        ({}, OTHER, (Decimal("0.5"), None)),
        ({"cache_read_input_tokens": 400_000}, PROJECT, (Decimal(1), None)),
        (
            {"cache_read_input_tokens": 400_000, "usage_semantics": "cache_exclusive"},
            PROJECT,
            (Decimal("1.4"), None),
        ),
        ({"input_tokens": None}, PROJECT, (None, "missing_usage")),
        ({"input_tokens": None, "error_type": "429"}, PROJECT, (None, "no_usage")),
        ({"operation_name": "invoke_agent"}, PROJECT, (None, NO_CALL)),
        ({"request_model": "unheard-of"}, PROJECT, (None, NOT_RESOLVED)),
        ({"request_model": "unpriced"}, PROJECT, (None, "unknown_model")),
        ({"request_model": "our-own", "duration_seconds": 1.5}, PROJECT, (Decimal(3), None)),
        ({"request_model": "our-own"}, PROJECT, (None, "missing_duration")),
    ],
)
async def test_a_call_costs_what_its_project_pays_or_has_a_reason(
    estimates: CostEstimates,
    database_url: str,
    fields: dict[str, object],
    project_id: UUID,
    expected: tuple[Decimal | None, str | None],
) -> None:
    create_views(database_url)
    await estimates.refresh()
    assert estimates.estimate(call(**fields), TENANT, project_id) == expected


async def test_prices_stay_while_postgres_is_away(
    estimates: CostEstimates, database_url: str
) -> None:
    create_views(database_url)
    await estimates.refresh()
    await estimates.pool.close()
    await estimates.refresh()
    assert estimates.estimate(call(), TENANT, PROJECT) == (Decimal(1), None)


async def test_an_unknown_model_makes_the_next_look_come_sooner(
    estimates: CostEstimates, database_url: str, clock: Clock
) -> None:
    create_views(database_url)
    await estimates.refresh()
    clock.now = 11.0
    assert not estimates.is_due()
    estimates.estimate(call(request_model="new"), TENANT, PROJECT)
    assert estimates.is_due()
    await estimates.refresh()
    clock.now = 70.0
    assert not estimates.is_due()
    clock.now = 72.0
    assert estimates.is_due()


@pytest.mark.parametrize(
    ("details", "count"),
    [
        ({"found": [{"kind": "image", "count": 1}, {"kind": "web", "count": 2}]}, 2),
        ({"found": [], "web": {"searches": "3"}}, 3),
        ({"found": {"kind": "web", "count": 4}}, 4),
        ({"web": {"searches": 0.5}}, None),
        ({"web": 3}, None),
    ],
)
def test_counts_come_from_where_the_rules_say(details: object, count: int | None) -> None:
    paths = '{"searches": ["$.found[*] ? (@.kind == \\"web\\").count", "$.web.searches"]}'
    rules = Rules.read("[]", paths, "[]")
    event = call(input_tokens=1)
    event.usage_details = msgspec.Raw(msgspec.json.encode(details))
    assert counts_of(event, rules).get("searches") == count


@pytest.mark.parametrize("path", ["found", "$.found[0]", "$.found ? (@.size > 3)"])
def test_a_path_of_another_form_is_refused(path: str) -> None:
    with pytest.raises(RulesError, match="unknown path"):
        Rules.read("[]", msgspec.json.encode({"searches": [path]}).decode(), "[]")
