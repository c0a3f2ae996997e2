"""What an operator does with dead letters from the Dagster UI."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import dagster as dg
import psycopg
from pydantic import Field

from ingest_api.database.dead_letters import Filters, Settlement, discard, find_ids, replay
from ingest_api.stream import connect
from orchestration.loading.assets import DEAD_LETTERS
from orchestration.resources import EventStream, Warehouse

# The log of a run names so many letters that stay open; the counts are complete.
MAX_LOGGED: Final = 100
PROJECT_ID: Final = "select project_id from app.projects where name = %s"


class DeadLetterChoice(dg.Config):
    """Which open letters are meant: `ids`, else those that pass all filters that are set."""

    ids: list[int] = Field(
        default=[], description="Ids (dead_letter_id). They make the filters void."
    )
    project: str = Field(default="", description="Name of the project; empty for all.")
    reason: str = Field(default="", description="A part of the reason, in any case; empty for all.")
    rejected_after: str = Field(
        default="",
        description="Rejected at or after this time, as 2026-11-23T10:00:00Z; empty for all.",
    )
    rejected_before: str = Field(
        default="", description="Rejected before this time; empty for all."
    )
    is_all: bool = Field(
        default=False, description="Really all open letters, where neither ids nor a filter is set."
    )

    def filters(self, project_id: UUID | None) -> Filters:
        """The choice as the database understands it.

        Raises:
            dg.Failure: nothing was chosen, or a time is none.
        """
        filters = Filters(
            project_id=project_id,
            reason=self.reason or None,
            rejected_after=_time("rejected_after", self.rejected_after),
            rejected_before=_time("rejected_before", self.rejected_before),
        )
        if filters == Filters() and not self.is_all:
            raise dg.Failure(
                "Nothing was chosen: set ids, a filter, or is_all: true.", allow_retries=False
            )
        return filters


def _time(name: str, text: str) -> datetime | None:
    if not text:
        return None
    words = f"{name} is {text!r}: write it with its offset, as 2026-11-23T10:00:00Z."
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise dg.Failure(words, allow_retries=False) from None
    if time.tzinfo is None:
        raise dg.Failure(words, allow_retries=False)
    return time


def chosen_ids(connection: psycopg.Connection, choice: DeadLetterChoice) -> list[int]:
    """Ids of the letters that `choice` means.

    Raises:
        dg.Failure: as in `filters`, or there is no such project.
    """
    if choice.ids:
        return choice.ids
    project_id = None
    if choice.project:
        row = connection.execute(PROJECT_ID, [choice.project]).fetchone()
        if row is None:
            raise dg.Failure(f"There is no project {choice.project!r}.", allow_retries=False)
        project_id = row[0]
    return find_ids(connection, choice.filters(project_id))


@dg.op(tags={"kind": "postgres"})
def replay_dead_letters(
    context: dg.OpExecutionContext,
    config: DeadLetterChoice,
    warehouse: dg.ResourceParam[Warehouse],
    event_stream: dg.ResourceParam[EventStream],
) -> None:
    """Send the chosen letters through the stream again, with the head they came with."""
    client = connect(event_stream.redis_url, cluster=event_stream.cluster)
    with client, warehouse.connect() as connection:
        connection.autocommit = True
        ids = chosen_ids(connection, config)
        report(context, replay(connection, client, ids, shards=event_stream.shards))


@dg.op(tags={"kind": "postgres"})
def discard_dead_letters(
    context: dg.OpExecutionContext,
    config: DeadLetterChoice,
    warehouse: dg.ResourceParam[Warehouse],
) -> None:
    """Give up the chosen letters: they stay in the table and are never loaded."""
    with warehouse.connect() as connection:
        connection.autocommit = True
        report(context, discard(connection, chosen_ids(connection, config)))


def report(context: dg.OpExecutionContext, settlements: Sequence[Settlement]) -> None:
    """Count the outcomes on the asset's page, and log why letters stay open."""
    for bad in [one for one in settlements if one.outcome == "still_bad"][:MAX_LOGGED]:
        context.log.warning("dead letter %s stays open: %s", bad.dead_letter_id, bad.reason)
    counts = Counter(one.outcome for one in settlements)
    context.log.info("%s letters: %s", len(settlements), dict(counts))
    metadata = {f"{outcome}_count": count for outcome, count in counts.items()}
    context.log_event(dg.AssetObservation(DEAD_LETTERS, metadata=metadata))


@dg.job(
    executor_def=dg.in_process_executor,
    config=dg.RunConfig(ops={"replay_dead_letters": DeadLetterChoice()}),
    description="Sends dead letters through the stream again: those of `ids`, or all open ones "
    "that pass the filters. Letters that still break the contract stay open; the log says why.",
)
def replay_dead_letters_job() -> None:
    """Replay once."""
    replay_dead_letters()


@dg.job(
    executor_def=dg.in_process_executor,
    config=dg.RunConfig(ops={"discard_dead_letters": DeadLetterChoice()}),
    description="Gives up dead letters: those of `ids`, or all open ones that pass the filters. "
    "They stay in raw.dead_letters and are never loaded.",
)
def discard_dead_letters_job() -> None:
    """Discard once."""
    discard_dead_letters()
