"""What an operator does from the Dagster UI when a held event is right after all."""

from uuid import UUID

import dagster as dg
from pydantic import Field

from ingest_api.database.held_events import Release, ReleaseError, release_events
from orchestration.resources import Warehouse

HELD_EVENTS = dg.AssetKey(["staging", "stg_ingest__held_events"])


class ReleaseConfig(dg.Config):
    """Which held events are let into the marts, why, and who wants it."""

    rule_name: str = Field(description="The check that they fail, as it is called in the UI.")
    project_id: str = Field(default="", description="Empty for all projects.")
    event_ids: list[str] = Field(
        default_factory=list, description="Empty for all events that fail the check."
    )
    reason: str = Field(description="Why their figures are right; kept beside the events.")
    released_by: str = Field(description="Who decided that.")


def read_release(config: ReleaseConfig) -> Release:
    """The release that `config` means.

    Raises:
        dg.Failure: it means none; the description says what to correct.
    """
    try:
        return Release(
            rule_name=config.rule_name,
            reason=config.reason,
            released_by=config.released_by,
            project_id=UUID(config.project_id) if config.project_id else None,
            event_ids=tuple(map(UUID, config.event_ids)) or None,
        )
    except ReleaseError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    except ValueError:
        raise dg.Failure("project_id and event_ids are UUIDs.", allow_retries=False) from None


@dg.op(tags={"kind": "postgres"})
def release_held_events(
    context: dg.OpExecutionContext,
    config: ReleaseConfig,
    warehouse: dg.ResourceParam[Warehouse],
) -> None:
    """Store the release; `build_marts_sensor` then starts the build that carries it out."""
    with warehouse.connect() as connection:
        count = release_events(connection, read_release(config))
    if not count:
        raise dg.Failure("No held event is meant by this.", allow_retries=False)
    context.log.info("%s events enter the marts with the next build", count)
    context.log_event(
        dg.AssetObservation(HELD_EVENTS, metadata={"event_count": count, "reason": config.reason})
    )


@dg.job(
    executor_def=dg.in_process_executor,
    description="Lets events into the marts that a check on raw holds back. The next build takes "
    "them up and makes the roll-ups of their periods anew.",
)
def release_held_events_job() -> None:
    """Request once."""
    release_held_events()
