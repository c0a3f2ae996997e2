"""Writes how PostgreSQL answers each question of the dashboard."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import sql

from benchmarks.history.rows import PROJECTS, ROLLUP_TAGS
from benchmarks.ingest.figures import machine
from ingest_api.analytics import parameters
from ingest_api.analytics.conversations import plan_conversations
from ingest_api.analytics.costs import plan_costs
from ingest_api.analytics.periods import read_period, read_zone
from ingest_api.analytics.plans import (
    MAX_ROWS,
    Asked,
    Plan,
    plan_breakdown,
    plan_overview,
    plan_timeseries,
    plan_top,
)

EXPLAIN: Final = sql.SQL("explain (analyze, buffers, costs off, summary on) {}")
Query = Mapping[str, str | list[str]]

HEAD: Final = """# Plans of the Query API

Made by `make bench-query`: each statement of the dashboard's questions as PostgreSQL ran it, twice,
the second time shown, on {machine}, over {calls:,} calls. What the questions are stands in
`benchmarks/query.py`, what they may ask in [query-api.md](query-api.md).
"""


def plan_of(route: str, query: Query, project_id: UUID) -> Plan:
    """The plan of a question, as the route makes it."""
    asked = _asked(query, project_id)
    match route:
        case "overview":
            return plan_overview(asked, parameters.OverviewParameters.model_validate(query))
        case "timeseries":
            return plan_timeseries(asked, parameters.TimeseriesParameters.model_validate(query))
        case "breakdown":
            wanted = parameters.BreakdownParameters.model_validate(query)
            return plan_breakdown(asked, wanted, MAX_ROWS)
        case "top":
            return plan_top(asked, parameters.TopParameters.model_validate(query))
        case "conversations":
            conversations = parameters.ConversationsParameters.model_validate(query)
            return plan_conversations(asked, conversations, is_page=True)
        case _:
            costs = parameters.CostsParameters.model_validate(query)
            return plan_costs(asked, costs, MAX_ROWS)


def _asked(query: Query, project_id: UUID) -> Asked:
    zone = read_zone(str(query.get("time_zone", "UTC")))
    wanted = parameters.PeriodParameters.model_validate(query)
    period = read_period(wanted.from_, wanted.to, zone, datetime.now(UTC))
    return Asked(project_id, period, frozenset(ROLLUP_TAGS))


def history_project(connection: psycopg.Connection[Any]) -> UUID:
    """The project that has most of the history's calls.

    Raises:
        LookupError: the history has not been begun.
    """
    query = "select project_id from app.projects where name = %s"
    row = connection.execute(query, [PROJECTS[0]]).fetchone()
    if row is None:
        raise LookupError(f"there is no project {PROJECTS[0]}")
    project_id: UUID = row[0]
    return project_id


def write_plans(path: Path, database_url: str, questions: Iterable[tuple[str, str, Query]]) -> None:
    """Renew the file.

    Args:
        questions: Name, route and parameters of each.
    """
    with psycopg.connect(database_url) as connection:
        connection.execute("set jit = off; set max_parallel_workers_per_gather = 0")
        project_id = history_project(connection)
        (calls,) = connection.execute("select count(*) from marts.fct_llm_calls").fetchone() or (0,)
        parts = [HEAD.format(machine=machine(), calls=calls)]
        for name, route, query in questions:
            parts.append(f"\n## {name}\n\n`{route}` with {_words(query)}\n")
            parts += _plans(connection, plan_of(route, query, project_id))
    path.write_text("".join(parts))


def _plans(connection: psycopg.Connection[Any], plan: Plan) -> list[str]:
    shown = []
    for statement in plan.statements:
        query = EXPLAIN.format(statement.query)
        connection.execute(query, statement.parameters)
        lines = connection.execute(query, statement.parameters).fetchall()
        text = "\n".join(_shortened(line) for (line,) in lines)
        shown.append(f"\n```\n{text}\n```\n")
    return shown


def _words(query: Query) -> str:
    pairs = {name: value for name, value in query.items() if name not in {"from", "to"}}
    return ", ".join(f"`{name}={value}`" for name, value in pairs.items()) or "no more parameters"


def _shortened(line: str, most: int = 160) -> str:
    """Ids and long lists of conditions tell nothing."""
    line = re.sub(r"'[0-9a-f-]{36}'::uuid", "…", line)
    return line if len(line) <= most else line[:most] + " …"
