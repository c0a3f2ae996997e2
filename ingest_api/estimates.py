"""Estimated costs for the live feed: the marts' price rows and rules, held in memory.

What is here is an estimate because the marts may know better a minute later: a model that is not
resolved yet, a price that changed. Postgres is asked in the background alone.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from time import monotonic
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from ingest_api.events import Event
from ingest_api.price_rules import (
    DEFAULT_TIER,
    Estimate,
    PriceRow,
    Rules,
    RulesError,
    cost_of,
    counts_of,
    instant,
    missing_usage,
    read_price_row,
)

logger = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 60.0
# An unknown model is resolved within seconds of its first row; look again, but not for each call.
RETRY_UNKNOWN_SECONDS: Final = 10.0
TICK_SECONDS: Final = 1.0
READ_TIMEOUT_SECONDS: Final = 5.0

NOT_LOADED: Final = "prices_not_loaded"
NOT_RESOLVED: Final = "not_resolved"
NO_CALL: Final = "no_call"

RULES: Final = """
select buckets::text, usage_details_paths::text, operations_around_calls::text
from intermediate.int_price_rules
"""
# As text: Python has no time of 24:00 and no date of infinity.
PRICES: Final = "select to_jsonb(p)::text from intermediate.int_model_prices as p"
# By what is known now; a correction of yesterday's calls is the marts' business.
CHOICES: Final = """
select scope_id::text, provider_name, request_model, response_model, to_jsonb(started_from)#>>'{}',
    to_jsonb(started_to)#>>'{}', revision_id::text, priced_service_tiers
from intermediate.int_price_choices
where asked_to = 'infinity'
"""
REASONS: Final = """
select provider_name, coalesce(request_model, ''), coalesce(response_model, ''),
    coalesce(unmatched_reason, 'no_price')
from intermediate.int_model_matches
"""
EVERYONE: Final = str(UUID(int=0))

# Provider, request model and response model, each empty where there is none.
Combination = tuple[str, str, str]


class Choice(NamedTuple):
    """The revision of a price book that a combination takes for calls of a time."""

    started_from: datetime
    started_to: datetime
    revision_id: str
    priced_service_tiers: Sequence[str]


@dataclass(frozen=True)
class PriceBook:
    """All that a price needs, at one moment.

    Attributes:
        choices: By scope (a project, a tenant, everyone) and combination.
        rows: By revision and service tier.
        reasons: Why an observed combination that has no choice has none.
    """

    rules: Rules
    choices: Mapping[tuple[str, Combination], Sequence[Choice]]
    rows: Mapping[tuple[str, str], Sequence[PriceRow]]
    reasons: Mapping[Combination, str]

    def choice_of(
        self, call: Combination, started_at: datetime, scopes: Iterable[str]
    ) -> Choice | None:
        """The first of `scopes` that has a price then decides."""
        found = (
            choice
            for scope in scopes
            for choice in self.choices.get((scope, call), ())
            if choice.started_from <= started_at < choice.started_to
        )
        return next(found, None)

    def row_of(self, choice: Choice, event: Event, input_tokens: int | Decimal) -> PriceRow | None:
        """The prices of a call's tier, time and size."""
        tier = event.service_tier or DEFAULT_TIER
        tier = tier if tier in choice.priced_service_tiers else DEFAULT_TIER
        rows = self.rows.get((choice.revision_id, tier), ())
        started_at = event.started_at.astimezone(UTC)
        return next((row for row in rows if row.holds_for(started_at, input_tokens)), None)


@dataclass
class CostEstimates:
    """Estimates of one API process, kept fresh by `run`."""

    pool: AsyncConnectionPool[Any]
    clock: Callable[[], float] = monotonic
    _book: PriceBook | None = field(default=None)
    _read_at: float = field(default=float("-inf"))
    _is_missing: bool = field(default=True)

    def estimate(self, event: Event, tenant_id: UUID, project_id: UUID) -> Estimate:
        """What a call costs by what is known now. Never waits."""
        book = self._book
        if book is None:
            return Estimate(None, NOT_LOADED)
        if event.operation_name in book.rules.operations_around_calls:
            return Estimate(None, NO_CALL)
        call = (event.provider_name, event.request_model or "", event.response_model or "")
        scopes = (str(project_id), str(tenant_id), EVERYONE)
        choice = book.choice_of(call, event.started_at, scopes)
        if choice is None:
            self._is_missing |= call not in book.reasons
            reason = missing_usage(event) or book.reasons.get(call, NOT_RESOLVED)
            return Estimate(None, reason)
        counts = counts_of(event, book.rules)
        row = book.row_of(choice, event, counts.get("input_tokens", 0))
        return cost_of(event, counts, row, book.rules)

    async def run(self, stop: asyncio.Event) -> None:
        """Refresh when it is due until `stop` is set."""
        while not stop.is_set():
            if self.is_due():
                await self.refresh()
            try:
                await asyncio.wait_for(stop.wait(), TICK_SECONDS)
            except TimeoutError:
                continue

    async def refresh(self) -> None:
        """Read rules, matches and prices; where Postgres or dbt's views are away, keep what is
        known."""
        self._read_at = self.clock()
        self._is_missing = False
        try:
            self._book = await self._read()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            logger.info("prices not read: the marts have not been built yet")
        except (psycopg.Error, PoolTimeout, TimeoutError, RulesError) as error:
            logger.warning("prices not refreshed: %s", type(error).__name__)

    def is_due(self) -> bool:
        """Whether it is time for the next look."""
        since = self.clock() - self._read_at
        wanted = RETRY_UNKNOWN_SECONDS if self._is_missing or not self._book else REFRESH_SECONDS
        return since >= wanted

    async def _read(self) -> PriceBook | None:
        async with asyncio.timeout(READ_TIMEOUT_SECONDS), self.pool.connection() as connection:
            rules = await (await connection.execute(RULES)).fetchone()
            choices = await (await connection.execute(CHOICES)).fetchall()
            prices = await (await connection.execute(PRICES)).fetchall()
            reasons = await (await connection.execute(REASONS)).fetchall()
        assert rules is not None  # noqa: S101 - a select without from gives one row
        return PriceBook(
            Rules.read(*rules),
            _choices(choices),
            _rows(prices),
            {(provider, asked, answered): reason for provider, asked, answered, reason in reasons},
        )


def _choices(rows: Iterable[Sequence[Any]]) -> dict[tuple[str, Combination], list[Choice]]:
    found: dict[tuple[str, Combination], list[Choice]] = defaultdict(list)
    for scope_id, provider, asked, answered, start, end, revision_id, tiers in rows:
        choice = Choice(instant(start), instant(end), revision_id, tiers)
        found[scope_id, (provider, asked, answered)].append(choice)
    return dict(found)


def _rows(texts: Iterable[Sequence[str]]) -> dict[tuple[str, str], list[PriceRow]]:
    found: dict[tuple[str, str], list[PriceRow]] = defaultdict(list)
    for (text,) in texts:
        key, row = read_price_row(text)
        found[key].append(row)
    return dict(found)
