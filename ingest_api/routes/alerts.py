"""Alerts of the key's project: a look at them, and a note of who has seen them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
import psycopg
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from ingest_api.alerts.episodes import Episode, EpisodeState
from ingest_api.database.alerts import Acknowledged, acknowledge, list_alerts
from ingest_api.dependencies import AdminKeyDep, ReadKeyDep, ServicesDep
from ingest_api.openapi import problem_responses
from ingest_api.routes.alert_documents import ACKNOWLEDGE_BODY, Ids
from ingest_api.routes.budgets import READ_PROBLEMS, WRITE_PROBLEMS, Text
from ingest_api.work import read_struct, with_database

router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"])

MAX_LIMIT: Final = 500


class NoteAnswer(BaseModel):
    """What is to be known besides."""

    at: datetime
    text: str


class AlertAnswer(BaseModel):
    """An alert from the first window that met its condition to its end.

    `missed`: late data has met the condition of a window that was over; nobody was told.
    """

    alert_event_id: UUID
    rule_id: UUID | None
    rule_name: str
    severity: str
    group_value: str
    state: EpisodeState
    pending_since: datetime
    fired_at: datetime | None
    resolved_at: datetime | None
    resolved_reason: str | None
    window_start: datetime
    window_end: datetime
    value: Decimal | None
    figure: Decimal | None
    baseline: Decimal | None
    threshold: Decimal
    call_count: int
    fired_value: Decimal | None
    query: str | None
    evaluated_at: datetime
    told_at: datetime | None
    reminder_count: int
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    notes: list[NoteAnswer]


class AlertsAnswer(BaseModel):
    """Alerts, the newest first."""

    alerts: list[AlertAnswer]


class AcknowledgedAnswer(BaseModel):
    """What became of one alert."""

    alert_event_id: UUID
    outcome: Acknowledged


class AcknowledgementsAnswer(BaseModel):
    """One line per id, in the order of the request."""

    results: list[AcknowledgedAnswer]


class AcknowledgeRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Alerts, and who has seen them."""

    ids: Ids
    by: Text


@router.get("", responses=problem_responses(*READ_PROBLEMS))
async def list_project_alerts(
    key: ReadKeyDep,
    services: ServicesDep,
    state: Annotated[EpisodeState | None, Query(description="Only alerts in this state.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Alerts, at most.")] = 100,
) -> AlertsAnswer:
    """Alerts of the key's project, the newest first, with the SQL behind their figures."""

    def read(connection: psycopg.Connection) -> list[Episode]:
        return list_alerts(connection, key.project_id, [state] if state else None, limit)

    return AlertsAnswer(alerts=[_answer(one) for one in await with_database(services, read)])


@router.post(
    "/acknowledge",
    response_model=AcknowledgementsAnswer,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=ACKNOWLEDGE_BODY,
)
async def acknowledge_alerts(
    request: Request, key: AdminKeyDep, services: ServicesDep
) -> AcknowledgementsAnswer:
    """Note who has seen alerts: they remind nobody any more. The first one stays."""
    wanted = await read_struct(request, services, AcknowledgeRequest)

    def work(connection: psycopg.Connection) -> list[Acknowledged]:
        return [acknowledge(connection, one, wanted.by, key.project_id) for one in wanted.ids]

    found = await with_database(services, work)
    return AcknowledgementsAnswer(
        results=[
            AcknowledgedAnswer(alert_event_id=one, outcome=outcome)
            for one, outcome in zip(wanted.ids, found, strict=True)
        ]
    )


def _answer(episode: Episode) -> AlertAnswer:
    fields: dict[str, Any] = {name: getattr(episode, name) for name in AlertAnswer.model_fields}
    return AlertAnswer(**fields)
