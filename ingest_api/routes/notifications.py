"""Channels of the key's project, and what became of the notifications that went there."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Literal
from uuid import UUID, uuid4

import msgspec
import psycopg
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from ingest_api import errors
from ingest_api.database.channels import (
    Channel,
    NewChannel,
    enable_channel,
    find_channel,
    list_channels,
    put_channel,
    remove_channel,
)
from ingest_api.database.notifications import (
    Kind,
    Severity,
    State,
    enqueue,
    list_deliveries,
    trial_notification,
)
from ingest_api.dependencies import AdminKeyDep, ReadKeyDep, Services, ServicesDep
from ingest_api.notifying.kinds import ChannelError, ChannelKind
from ingest_api.notifying.networks import TargetPolicy
from ingest_api.notifying.secrets import SecretError, open_box
from ingest_api.notifying.setting_up import PreparedSetup, prepare
from ingest_api.openapi import problem_responses
from ingest_api.routes.notification_documents import (
    CHANNEL_EXAMPLES,
    CHANNEL_SCHEMA,
    IDS_EXAMPLE,
    IDS_SCHEMA,
    MAX_IDS,
    MAX_NAME,
    body,
)
from ingest_api.work import read_struct, with_database

router = APIRouter(prefix="/api/v1", tags=["notifications"])

MAX_BIGINT: Final = 2**63 - 1
READ_PROBLEMS: Final = (
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.BadParameterError,
    errors.UnavailableError,
)
WRITE_PROBLEMS: Final = (
    errors.MalformedBodyError,
    *READ_PROBLEMS,
    errors.BodyTooLargeError,
    errors.UnsupportedEncodingError,
)
Outcome = Literal["enabled", "disabled", "deleted", "test_waits", "is_disabled", "not_found"]


class ChannelAnswer(BaseModel):
    """A channel. Its secrets are never shown; `has_secret` tells whether it has any."""

    channel_id: UUID
    name: str
    kind: ChannelKind
    settings: dict[str, Any]
    has_secret: bool
    is_enabled: bool
    created_at: datetime


class NewChannelAnswer(ChannelAnswer):
    """A channel; `signing_secret` is the one that was made for a webhook, shown this once."""

    signing_secret: str | None


class ChannelsAnswer(BaseModel):
    """Channels of the project, by name."""

    channels: list[ChannelAnswer]


class ChannelOutcome(BaseModel):
    """What became of one channel."""

    channel_id: UUID
    outcome: Outcome


class ChannelOutcomes(BaseModel):
    """One line per id, in the order of the request."""

    results: list[ChannelOutcome]


class NotificationAnswer(BaseModel):
    """One notification in one channel. `last_error` is what its last attempt failed with."""

    notification_id: int
    channel_id: UUID
    channel: str
    kind: Kind
    severity: Severity
    title: str
    idempotency_key: str
    state: State
    attempt_count: int
    created_at: datetime
    next_attempt_at: datetime
    delivered_at: datetime | None
    given_up_at: datetime | None
    last_error: str | None


class NotificationsAnswer(BaseModel):
    """A page of notifications, newest first. `next_cursor` is null on the last one."""

    notifications: list[NotificationAnswer]
    next_cursor: str | None


Name = Annotated[
    str, msgspec.Meta(min_length=1, max_length=MAX_NAME, pattern=r"^[^\x00-\x1f\x7f]*$")
]


class ChannelRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A channel to make, or to set up anew."""

    name: Name
    kind: ChannelKind
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    secrets: dict[str, str] = msgspec.field(default_factory=dict)


class IdsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Ids of channels."""

    ids: Annotated[list[UUID], msgspec.Meta(min_length=1, max_length=MAX_IDS)]


@router.get("/notification-channels", responses=problem_responses(*READ_PROBLEMS))
async def list_project_channels(
    key: ReadKeyDep, services: ServicesDep, channel_id: UUID | None = None
) -> ChannelsAnswer:
    """Channels of the key's project, or one of them."""

    def read(connection: psycopg.Connection) -> list[Channel]:
        if channel_id is None:
            return list_channels(connection, key.project_id)
        found = find_channel(connection, channel_id, key.project_id)
        return [] if found is None else [found]

    channels = await with_database(services, read)
    return ChannelsAnswer(channels=[ChannelAnswer(**_shown(channel)) for channel in channels])


@router.post(
    "/notification-channels",
    status_code=201,
    response_model=NewChannelAnswer,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=body(CHANNEL_SCHEMA, CHANNEL_EXAMPLES),
)
async def put_project_channel(
    request: Request, key: AdminKeyDep, services: ServicesDep
) -> NewChannelAnswer:
    """Make a channel for the key's project, or set up anew the one of this name.

    Settings and secrets are replaced together and as a whole. Secrets are encrypted and never shown
    again. Hosts in private networks are refused. A webhook without `signing_secret` gets one.
    """
    wanted = await read_struct(request, services, ChannelRequest)

    def work(connection: psycopg.Connection) -> tuple[Channel, PreparedSetup]:
        found = _prepare(services, wanted)
        new = NewChannel(key.tenant_id, key.project_id, wanted.name, wanted.kind, found.stored)
        return put_channel(connection, new), found

    channel, found = await with_database(services, work)
    return NewChannelAnswer(**_shown(channel), signing_secret=found.new_signing_secret)


@router.post(
    "/notification-channels/enable",
    response_model=ChannelOutcomes,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=body(IDS_SCHEMA, IDS_EXAMPLE),
)
async def enable_channels(
    request: Request, key: AdminKeyDep, services: ServicesDep
) -> ChannelOutcomes:
    """Let channels take notifications again; what waited for less than a day is sent."""
    return await _for_each(request, services, key.project_id, partial(_switch, is_enabled=True))


@router.post(
    "/notification-channels/disable",
    response_model=ChannelOutcomes,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=body(IDS_SCHEMA, IDS_EXAMPLE),
)
async def disable_channels(
    request: Request, key: AdminKeyDep, services: ServicesDep
) -> ChannelOutcomes:
    """Keep channels from notifications: what happens meanwhile is never told there."""
    return await _for_each(request, services, key.project_id, partial(_switch, is_enabled=False))


@router.post(
    "/notification-channels/delete",
    response_model=ChannelOutcomes,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=body(IDS_SCHEMA, IDS_EXAMPLE),
)
async def delete_channels(
    request: Request, key: AdminKeyDep, services: ServicesDep
) -> ChannelOutcomes:
    """Delete channels, and what waits for them. Repeating the request is harmless."""
    return await _for_each(request, services, key.project_id, _delete)


@router.post(
    "/notification-channels/test",
    response_model=ChannelOutcomes,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=body(IDS_SCHEMA, IDS_EXAMPLE),
)
async def try_channels(
    request: Request, key: AdminKeyDep, services: ServicesDep
) -> ChannelOutcomes:
    """Send a test notification through the outbox; `GET /api/v1/notifications` tells its fate."""
    return await _for_each(request, services, key.project_id, _try)


@router.get("/notifications", responses=problem_responses(*READ_PROBLEMS))
async def list_notifications(
    key: ReadKeyDep,
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[int | None, Query(ge=1, le=MAX_BIGINT)] = None,
    channel_id: UUID | None = None,
) -> NotificationsAnswer:
    """What went to channels of the key's project, newest first, and what became of it."""
    found = await with_database(
        services,
        lambda connection: list_deliveries(
            connection, key.project_id, channel_id, before_id=cursor, limit=limit + 1
        ),
    )
    page = found[:limit]
    return NotificationsAnswer(
        notifications=[NotificationAnswer(**asdict(one)) for one in page],
        next_cursor=str(page[-1].notification_id) if len(found) > limit else None,
    )


def _prepare(services: Services, wanted: ChannelRequest) -> PreparedSetup:
    settings = services.settings
    try:
        return prepare(
            wanted.kind,
            wanted.settings,
            wanted.secrets,
            partial(open_box, settings.secret_key, settings.home),
            TargetPolicy(settings.webhook_allowed_networks),
        )
    except ChannelError as error:
        raise errors.BadParameterError(f"{error}.") from None
    except SecretError as error:
        raise errors.UnavailableError(f"No secret can be stored: {error}.") from None


async def _for_each(
    request: Request, services: Services, project_id: UUID, one: Callable[..., Outcome]
) -> ChannelOutcomes:
    """`one` for each id of the request, among the channels of the project."""
    wanted = await read_struct(request, services, IdsRequest)

    def work(connection: psycopg.Connection) -> list[ChannelOutcome]:
        return [
            ChannelOutcome(channel_id=each, outcome=one(connection, each, project_id))
            for each in wanted.ids
        ]

    return ChannelOutcomes(results=await with_database(services, work))


def _switch(
    connection: psycopg.Connection, channel_id: UUID, project_id: UUID, *, is_enabled: bool
) -> Outcome:
    if not enable_channel(connection, channel_id, is_enabled, project_id):
        return "not_found"
    return "enabled" if is_enabled else "disabled"


def _delete(connection: psycopg.Connection, channel_id: UUID, project_id: UUID) -> Outcome:
    return "deleted" if remove_channel(connection, channel_id, project_id) else "not_found"


def _try(connection: psycopg.Connection, channel_id: UUID, project_id: UUID) -> Outcome:
    channel = find_channel(connection, channel_id, project_id)
    if channel is None:
        return "not_found"
    trial = trial_notification(channel.name, datetime.now(UTC), uuid4().hex)
    return "test_waits" if enqueue(connection, [channel_id], trial) else "is_disabled"


def _shown(channel: Channel) -> dict[str, Any]:
    return {
        "channel_id": channel.channel_id,
        "name": channel.name,
        "kind": channel.kind,
        "settings": channel.settings,
        "has_secret": channel.secret is not None or bool(channel.secret_env),
        "is_enabled": channel.is_enabled,
        "created_at": channel.created_at,
    }
