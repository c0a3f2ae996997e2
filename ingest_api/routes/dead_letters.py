"""Dead letters of the key's project: a look at them, and what an operator does with them."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec
import psycopg
from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime, BaseModel, BeforeValidator

from ingest_api import errors
from ingest_api.database.dead_letters import (
    DeadLetter,
    Filters,
    Outcome,
    Settlement,
    State,
    discard,
    list_dead_letters,
    replay,
)
from ingest_api.dependencies import AdminKeyDep, ReadKeyDep, Services, ServicesDep
from ingest_api.openapi import problem_responses
from ingest_api.stream import REDIS_ERRORS, StreamError, connect
from ingest_api.work import read_struct, with_database

router = APIRouter(prefix="/api/v1/dead-letters", tags=["dead letters"])

Found = TypeVar("Found")

# Without it pydantic would take a number for seconds since 1970.
RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def _require_rfc_3339(text: str) -> str:
    if not RFC_3339.fullmatch(text):
        raise ValueError("must be a time with its offset, as 2026-11-23T10:00:00Z")
    return text


Rfc3339 = Annotated[AwareDatetime, BeforeValidator(_require_rfc_3339)]

MAX_IDS: Final = 1000
MAX_BIGINT: Final = 2**63 - 1
READ_PROBLEMS: Final = (
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.BadParameterError,
    errors.UnavailableError,
)
SETTLE_PROBLEMS: Final = (
    errors.MalformedBodyError,
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.BodyTooLargeError,
    errors.UnsupportedEncodingError,
    errors.BadParameterError,
    errors.UnavailableError,
)


class DeadLetterAnswer(BaseModel):
    """One event, or one whole stream entry where `event_index` is null, that was not loaded.

    `payload` is null without the scope `admin` and with `with_payload=false`; bytes that are no
    UTF-8 show as U+FFFD.
    """

    dead_letter_id: int
    state: State
    rejected_reason: str
    rejected_at: datetime
    received_at: datetime | None
    replayed_at: datetime | None
    discarded_at: datetime | None
    stream: str
    entry_id: str
    event_index: int | None
    payload: str | None


class DeadLettersAnswer(BaseModel):
    """A page of letters, newest first. `next_cursor` is null on the last one."""

    dead_letters: list[DeadLetterAnswer]
    next_cursor: str | None


class SettlementAnswer(BaseModel):
    """What became of one letter. `reason` is empty unless it is `still_bad`."""

    dead_letter_id: int
    outcome: Outcome
    reason: str


class SettlementsAnswer(BaseModel):
    """One line per id, in the order of the request."""

    results: list[SettlementAnswer]


LetterId = Annotated[int, msgspec.Meta(ge=1, le=MAX_BIGINT)]
LetterIds = Annotated[list[LetterId], msgspec.Meta(min_length=1, max_length=MAX_IDS)]


class DiscardRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Ids of the letters to give up."""

    ids: LetterIds


class ReplayRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Ids of the letters to send again, and by id the events to send in place of theirs."""

    ids: LetterIds
    events: dict[int, msgspec.Raw] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a correction that nobody asked for, or that is no event."""
        if strangers := self.events.keys() - set(self.ids):
            raise ValueError(f"events: {min(strangers)} is not among ids")
        for number, event in self.events.items():
            if not bytes(event).lstrip().startswith(b"{"):
                raise ValueError(f"events: the event of {number} must be an object")


IDS_SCHEMA: Final = {
    "type": "array",
    "items": {"type": "integer", "minimum": 1, "maximum": MAX_BIGINT},
    "minItems": 1,
    "maxItems": MAX_IDS,
}
EVENTS_SCHEMA: Final = {
    "type": "object",
    "description": "By id, the corrected event that is sent in place of the letter's payload.",
    "propertyNames": {"pattern": "^[1-9][0-9]{0,17}$"},
    "additionalProperties": {"type": "object"},
}


def _settle_body(**properties: Any) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["ids"],
        "properties": {"ids": IDS_SCHEMA, **properties},
        "additionalProperties": False,
    }
    content = {"application/json": {"schema": schema, "example": {"ids": [17, 18]}}}
    return {"requestBody": {"required": True, "content": content}}


@router.get("", responses=problem_responses(*READ_PROBLEMS))
async def list_letters(
    key: ReadKeyDep,
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=MAX_BIGINT)] = None,
    state: State = "open",
    reason: Annotated[str | None, Query(max_length=200, pattern="^[^\\x00]*$")] = None,
    rejected_after: Rfc3339 | None = None,
    rejected_before: Rfc3339 | None = None,
    with_payload: bool = True,
) -> DeadLettersAnswer:
    """Letters of the key's project, newest first. `reason` is a part of the reason, in any case."""
    filters = Filters(key.project_id, state, reason, rejected_after, rejected_before)

    def read(connection: psycopg.Connection) -> list[DeadLetter]:
        return list_dead_letters(connection, filters, before_id=cursor, limit=limit + 1)

    letters = await _with_stream(services, read)
    page = letters[:limit]
    return DeadLettersAnswer(
        dead_letters=[_answer(letter, with_payload and "admin" in key.scopes) for letter in page],
        next_cursor=str(page[-1].dead_letter_id) if len(letters) > limit else None,
    )


@router.post(
    "/replay",
    response_model=SettlementsAnswer,
    responses=problem_responses(*SETTLE_PROBLEMS),
    openapi_extra=_settle_body(events=EVENTS_SCHEMA),
)
async def replay_letters(
    request: Request, key: AdminKeyDep, services: ServicesDep
) -> SettlementsAnswer:
    """Send letters through the stream again, with the head they came with; at most 1,000 at once.

    A letter that still breaks the contract stays open and says why. One that fails on its way into
    the database comes back as a new letter. Repeating the request is harmless.
    """
    settings = services.settings
    wanted = await read_struct(request, services, ReplayRequest)
    corrections = {one: bytes(event) for one, event in wanted.events.items()}

    def work(connection: psycopg.Connection) -> list[Settlement]:
        with connect(settings.redis_url, cluster=settings.redis_cluster) as client:
            return replay(
                connection, client, wanted.ids, project_id=key.project_id,
                corrections=corrections, shards=settings.stream_shards,
            )  # fmt: skip

    return _settlements(await _with_stream(services, work))


@router.post(
    "/discard",
    response_model=SettlementsAnswer,
    responses=problem_responses(*SETTLE_PROBLEMS),
    openapi_extra=_settle_body(),
)
async def discard_letters(
    request: Request, key: AdminKeyDep, services: ServicesDep
) -> SettlementsAnswer:
    """Give up letters: they stay in the table and are never loaded; at most 1,000 at once."""
    wanted = await read_struct(request, services, DiscardRequest)

    def work(connection: psycopg.Connection) -> list[Settlement]:
        return discard(connection, wanted.ids, project_id=key.project_id)

    return _settlements(await _with_stream(services, work))


async def _with_stream(services: Services, work: Callable[[psycopg.Connection], Found]) -> Found:
    try:
        return await with_database(services, work)
    except (StreamError, *REDIS_ERRORS) as error:
        raise errors.UnavailableError(f"The event buffer: {error}") from error


def _answer(letter: DeadLetter, with_payload: bool) -> DeadLetterAnswer:
    return DeadLetterAnswer(
        dead_letter_id=letter.dead_letter_id,
        state=letter.state,
        rejected_reason=letter.rejected_reason,
        rejected_at=letter.rejected_at,
        received_at=letter.received_at,
        replayed_at=letter.replayed_at,
        discarded_at=letter.discarded_at,
        stream=letter.stream,
        entry_id=letter.entry_id,
        event_index=letter.event_index,
        payload=letter.payload.decode(errors="replace") if with_payload else None,
    )


def _settlements(found: list[Settlement]) -> SettlementsAnswer:
    return SettlementsAnswer(results=[SettlementAnswer(**one._asdict()) for one in found])
