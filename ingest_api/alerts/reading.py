"""Reads the figures of rules from the marts. Blocking."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from ingest_api.alerts.judging import UNREADABLE, Figures, Judgement, judge
from ingest_api.alerts.read_statements import state_read, state_series
from ingest_api.alerts.reads import (
    NO_GROUP,
    Ask,
    Cells,
    Owned,
    Read,
    group_of,
    read_of,
    shared_filters,
)
from ingest_api.alerts.rules import COMPARED, StoredRule
from ingest_api.analytics.sources import LATENCY, USAGE

# Compiling a statement, or starting a worker for it, takes longer than reading a roll-up.
SETTINGS: Final = """
select set_config('statement_timeout', %s, true), set_config('jit', 'off', true),
    set_config('TimeZone', 'UTC', true), set_config('max_parallel_workers_per_gather', '0', true)
"""
PROJECTS: Final = """
select tenant_id, project_id, rollup_tags from app.projects where tenant_id = any(%s)
"""
# Each maximum is one look into an index. As text, because Python has no time before all times.
BUILT: Final = f"""
select least({
    ", ".join(
        f"(select coalesce(max(refreshed_at), '-infinity') from marts.{one.table})"
        for one in (*USAGE, *LATENCY)
        if not one.is_calls
    )
})::text as roll_ups_at,
    (select coalesce(max(loaded_at), '-infinity')::text from marts.fct_llm_calls) as calls_until
"""  # noqa: S608 - names of tables are constants
# `offset 0` keeps the planner from reading all calls by load time in the hope of an early one.
MISSING: Final = """
select least(
    (select min(loaded_at) from raw.llm_events where loaded_at > %(calls_until)s::timestamptz),
    (select min(loaded_at) from (
        select loaded_at from marts.fct_llm_calls
        where cost_computed_at > %(roll_ups_at)s::timestamptz offset 0
    ) as calls)
)
"""
Figured = dict[Ask, dict[str, Figures] | None]


@dataclass(frozen=True)
class Reader:
    """Reads on one connection, inside the caller's transaction.

    Attributes:
        lag_seconds: Age of the oldest event that waits in the stream; None: nobody knows.
    """

    connection: psycopg.Connection
    lag_seconds: float | None = None
    timeout_seconds: int = 30

    def complete_until(self, now: datetime) -> datetime | None:
        """Before what time of loading every call is in the marts; None: they are not built."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            try:
                with self.connection.transaction():
                    built = cursor.execute(BUILT).fetchone()
            except psycopg.errors.UndefinedTable:
                return None
            missing = cursor.execute(MISSING, built, prepare=False).fetchone()
            return min(now, (missing and missing["least"]) or now)

    def judge(
        self, rules: Iterable[StoredRule], ends: Mapping[UUID, Sequence[datetime]]
    ) -> dict[tuple[UUID, datetime], dict[str, Judgement]]:
        """By rule and end of window, the judgement of each group that has calls.

        Args:
            rules: What is judged.
            ends: By rule, the ends of its windows.
        """
        by_id = {one.rule_id: one for one in rules}
        wanted = [(by_id[rule_id], end) for rule_id, ones in ends.items() for end in ones]
        asks = [ask for stored, end in wanted for ask in asks_of(stored, end)]
        figures = self.figures(by_id, asks)
        return {(stored.rule_id, end): judge_groups(stored, end, figures) for stored, end in wanted}

    def figures(self, rules: Mapping[UUID, StoredRule], asks: Iterable[Ask]) -> Figured:
        """The figures of windows by group; None where they could not be read."""
        self.connection.execute(SETTINGS, [f"{self.timeout_seconds}s"])
        owned = self._owned(rules.values())
        by_read: dict[Read, list[Ask]] = {}
        for ask in asks:
            stored = rules[ask.rule_id]
            by_read.setdefault(read_of(stored, ask, owned[stored.owner_id]), []).append(ask)
        found: Figured = {}
        for read, alike in by_read.items():
            wanted = [rules[ask.rule_id] for ask in alike]
            cells = self._cells(read, wanted, owned)
            found |= {
                ask: None if cells is None else cells.groups(stored)
                for ask, stored in zip(alike, wanted, strict=True)
            }
        return found

    def series(
        self, stored: StoredRule, boundaries: Sequence[datetime], limit: int
    ) -> list[dict[str, Any]]:
        """Usage or times of a rule's calls step by step; rows have `bucket` and `group_value`."""
        self.connection.execute(SETTINGS, [f"{self.timeout_seconds}s"])
        owned = self._owned([stored])[stored.owner_id]
        read = read_of(stored, Ask(stored.rule_id, boundaries[0], boundaries[-1]), owned)
        filters = shared_filters(read, [stored.rule])
        statement = state_series(read, filters, list(owned.tags), boundaries, limit)
        group = group_of(stored.rule)
        name = f"dimension_{read.dimensions.index(group)}" if group else None
        with self.connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(statement.query, statement.parameters, prepare=False)
            return [{**row, "group_value": row[name] if name else NO_GROUP} for row in rows]

    def query_of(self, stored: StoredRule, end: datetime) -> str:
        """The SQL of one window of a rule with its values, to be run by hand."""
        ask = asks_of(stored, end)[0]
        owned = self._owned([stored])
        read = read_of(stored, ask, owned[stored.owner_id])
        if read.family == "lag":
            return "-- the age of the oldest entry of the stream: GET /api/v1/events/stats"
        statement = state_read(
            read,
            shared_filters(read, [stored.rule]),
            list(owned[stored.owner_id].tags),
            [stored.owner_id],
        )
        return psycopg.ClientCursor(self.connection).mogrify(
            statement.query.as_string(self.connection), statement.parameters
        )

    def _owned(self, rules: Iterable[StoredRule]) -> dict[UUID, Owned]:
        """Projects by owner: a project has itself, a tenant all of its own."""
        found: dict[UUID, dict[UUID, frozenset[str]]] = {}
        tenants = list({one.tenant_id for one in rules})
        for tenant_id, project_id, tags in self.connection.execute(PROJECTS, [tenants]):
            found.setdefault(tenant_id, {})[project_id] = frozenset(tags)
            found[project_id] = {project_id: frozenset(tags)}
        return {owner_id: Owned(tags) for owner_id, tags in found.items()}

    def _cells(
        self, read: Read, rules: Sequence[StoredRule], owned: Mapping[UUID, Owned]
    ) -> Cells | None:
        owner_ids = list(dict.fromkeys(one.owner_id for one in rules))
        if read.family == "lag":
            return Cells((), self._lag_rows(owner_ids))
        projects = {project for owner_id in owner_ids for project in owned[owner_id].tags}
        filters = shared_filters(read, [one.rule for one in rules])
        statement = state_read(read, filters, list(projects), owner_ids)
        # A mart that is missing, or a window too long to read, takes nothing else with it.
        with (
            suppress(psycopg.errors.UndefinedTable, psycopg.errors.QueryCanceled),
            self.connection.transaction(),
            self.connection.cursor(row_factory=dict_row) as cursor,
        ):
            cursor.execute(statement.query, statement.parameters, prepare=False)
            return Cells(read.dimensions, cursor.fetchall())
        return None

    def _lag_rows(self, owner_ids: Sequence[UUID]) -> list[dict[str, Any]]:
        return [{"owner_id": one, "stream_lag_seconds": self.lag_seconds} for one in owner_ids]


def asks_of(stored: StoredRule, end: datetime) -> list[Ask]:
    """The window of a rule that ends at `end`, and the one that it is compared with."""
    start = end - stored.rule.window
    asks = [Ask(stored.rule_id, start, end)]
    if stored.rule.compare_to:
        before = COMPARED[stored.rule.compare_to]
        asks.append(Ask(stored.rule_id, start - before, end - before))
    return asks


def judge_groups(
    stored: StoredRule, end: datetime, figures: Mapping[Ask, dict[str, Figures] | None]
) -> dict[str, Judgement]:
    """Pure: the judgement of each group of a window; of a rule without groups there is one."""
    found = [figures[ask] for ask in asks_of(stored, end)]
    current, before = found[0], found[1] if stored.rule.compare_to else {}
    if current is None or before is None:
        return {NO_GROUP: UNREADABLE}
    groups = {*current, *before} if group_of(stored.rule) else {NO_GROUP}
    return {
        group: judge(stored.rule, current.get(group), before.get(group)) for group in sorted(groups)
    }
