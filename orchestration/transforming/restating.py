"""What an operator does from the Dagster UI when costs of the past are wrong."""

from datetime import datetime
from typing import Final
from uuid import UUID

import dagster as dg
import psycopg
from pydantic import Field

from ingest_api.database.restatements import Restatement, RestatementError, request_restatement
from orchestration.resources import Warehouse

COST_RESTATEMENTS: Final = dg.AssetKey(["app", "cost_restatements"])
PROJECT_ID: Final = "select project_id from app.projects where name = %s"


class RestatementConfig(dg.Config):
    """Which calls are priced anew, why, and who wants it."""

    period_start: str = Field(
        description="Calls that started at or after this time, as 2026-11-01T00:00:00Z."
    )
    period_end: str = Field(description="Calls that started before this time.")
    provider_name: str = Field(default="", description="Empty for all providers.")
    model: str = Field(default="", description="As in the marts; empty for all models.")
    project: str = Field(default="", description="Name of the project; empty for all.")
    reason: str = Field(description="Why; kept beside the figures before and after.")
    requested_by: str = Field(description="Who wants it.")


def read_restatement(connection: psycopg.Connection, config: RestatementConfig) -> Restatement:
    """The request that `config` means.

    Raises:
        dg.Failure: it means none; the description says what to correct.
    """
    try:
        return Restatement(
            period_start=_time("period_start", config.period_start),
            period_end=_time("period_end", config.period_end),
            reason=config.reason,
            requested_by=config.requested_by,
            provider_name=config.provider_name or None,
            model=config.model or None,
            project_id=_project_id(connection, config.project) if config.project else None,
        )
    except RestatementError as error:
        raise dg.Failure(str(error), allow_retries=False) from None


def _time(name: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise RestatementError(f"{name} is {text!r}: write it as 2026-11-01T00:00:00Z.") from None


def _project_id(connection: psycopg.Connection, name: str) -> UUID:
    row = connection.execute(PROJECT_ID, [name]).fetchone()
    if row is None:
        raise RestatementError(f"There is no project {name!r}.")
    project_id: UUID = row[0]
    return project_id


@dg.op(tags={"kind": "postgres"})
def restate_costs(
    context: dg.OpExecutionContext,
    config: RestatementConfig,
    warehouse: dg.ResourceParam[Warehouse],
) -> None:
    """Store the request; `build_marts_sensor` then starts the build that carries it out."""
    with warehouse.connect() as connection:
        restatement_id = request_restatement(connection, read_restatement(connection, config))
    context.log.info("restatement %s is carried out by the next build", restatement_id)
    metadata = {"restatement_id": str(restatement_id), "reason": config.reason}
    context.log_event(dg.AssetObservation(COST_RESTATEMENTS, metadata=metadata))


@dg.job(
    executor_def=dg.in_process_executor,
    description="Prices the calls of a period anew with the prices known now. The next build "
    "notes each changed cost in marts.fct_cost_restatements, before and after, and makes the "
    "roll-ups of the period anew.",
)
def restate_costs_job() -> None:
    """Request once."""
    restate_costs()
