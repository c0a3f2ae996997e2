"""A ledger of two projects whose every text carries the project's marker."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dbt_project.golden.ledger import event, insert_events
from ingest_api.auth import hash_key, new_key

# A day before the clocks of Europe change.
START: Final = datetime(2026, 10, 24, 21, 17, tzinfo=UTC)
DAYS: Final = 4
NOW: Final = START + timedelta(days=DAYS)
PRICED: Final = ("gpt-4o", "gpt-4o-mini", "gpt-4.1")
CALLS: Final = 700

INSERT_TENANT: Final = "insert into app.tenants (tenant_id, name) values (%s, %s)"
INSERT_PROJECT: Final = """
insert into app.projects (project_id, tenant_id, name, rollup_tags) values (%s, %s, %s, '{team}')
"""
INSERT_KEY: Final = """
insert into app.api_keys (project_id, name, key_prefix, key_hash, scopes)
values (%s, %s, %s, %s, '{ingest,read,admin}')
"""
INSERT_LETTER: Final = """
insert into raw.dead_letters (stream, entry_id, event_index, tenant_id, project_id, received_at,
                              payload, rejected_reason)
values ('s', %s, 0, %s, %s, now(), %s, %s)
"""
INSERT_CONTENT: Final = """
insert into raw.llm_event_contents
    (event_id, project_id, started_at, input_messages, output_messages, loaded_at)
values (%s, %s, %s, %s, %s, now())
"""


@dataclass(frozen=True)
class Project:
    """A tenant's only project.

    Attributes:
        marker: In every text of its rows.
        key: May do everything in it.
    """

    project_id: UUID
    tenant_id: UUID
    marker: str
    key: str


def make_project(connection: psycopg.Connection[Any], number: int, marker: str) -> Project:
    """A tenant, its project and a key of it."""
    project = Project(UUID(int=number), UUID(int=number + 1), marker, new_key())
    connection.execute(INSERT_TENANT, [project.tenant_id, f"tenant {marker}"])
    connection.execute(INSERT_PROJECT, [project.project_id, project.tenant_id, f"project {marker}"])
    connection.execute(
        INSERT_KEY,
        [project.project_id, f"key {marker}", project.key[:12], hash_key(project.key)],
    )
    return project


def fill(connection: psycopg.Connection[Any], project: Project, seed: int) -> None:
    """Calls of four days, a dead letter and a content."""
    events = list(_events(project, random.Random(seed)))
    insert_events(connection, events)
    mark = project.marker
    connection.execute(
        INSERT_LETTER,
        [f"1-{seed}", project.tenant_id, project.project_id, f'{{"{mark}": 1}}'.encode(), mark],
    )
    connection.execute(
        INSERT_CONTENT,
        [events[0]["event_id"], project.project_id, events[0]["started_at"], Jsonb([mark]),
         Jsonb([mark])],
    )  # fmt: skip


def _events(project: Project, rng: random.Random) -> Iterator[dict[str, Any]]:
    mark = project.marker
    for number in range(CALLS):
        started_at = START + timedelta(seconds=rng.random() * DAYS * 86400)
        is_error = rng.random() < 0.1
        model = rng.choice([*PRICED, f"unknown-{mark}"])
        tokens = {} if is_error else _tokens(rng)
        yield event(
            event_id=uuid5(project.project_id, str(number)),
            tenant_id=project.tenant_id,
            project_id=project.project_id,
            provider_name=rng.choice(["openai", f"provider-{mark}"]),
            request_model=model,
            response_model=None,
            operation_name=rng.choice(["chat", f"operation-{mark}"]),
            started_at=started_at,
            loaded_at=NOW + timedelta(seconds=1),
            duration_seconds=rng.lognormvariate(0.5, 1),
            time_to_first_chunk_seconds=rng.choice([None, rng.random()]),
            is_stream=rng.random() < 0.5,
            error_type=f"error-{mark}" if is_error else None,
            error_message=f"message-{mark}",
            usage_details={mark: mark},
            user_id=rng.choice([None, *(f"user-{mark}-{n}" for n in range(12))]),
            conversation_id=rng.choice([None, *(f"conversation-{mark}-{n}" for n in range(60))]),
            environment=rng.choice([None, f"environment-{mark}"]),
            service_name=rng.choice([None, f"service-{mark}"]),
            tags={"team": f"team-{mark}-{rng.randrange(3)}", "undeclared": f"tag-{mark}"},
            trace_id=f"trace-{mark}", span_id=f"span-{mark}", response_id=f"response-{mark}",
            sdk_name=f"sdk-{mark}", sdk_version=mark,
            reported_cost_usd=rng.choice([None, round(rng.random(), 4)]),
            **tokens,
        )  # fmt: skip


def _tokens(rng: random.Random) -> dict[str, int]:
    inputs, outputs = rng.randrange(10, 5000), rng.randrange(1, 900)
    cached = rng.randrange(inputs) if rng.random() < 0.5 else 0
    return {
        "input_tokens": inputs,
        "output_tokens": outputs,
        "cache_read_input_tokens": cached,
        "reasoning_output_tokens": 0,
    }


def calls_of(connection: psycopg.Connection[Any], project: Project) -> list[dict[str, Any]]:
    """Its calls with their costs, which other tests judge."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            "select * from marts.fct_llm_calls where project_id = %s", [project.project_id]
        ).fetchall()
