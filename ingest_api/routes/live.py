"""The live feed by WebSocket and by Server-Sent Events, and tokens for browsers."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Header, Query, Request, Security
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from ingest_api import errors
from ingest_api.auth import KEY_PREFIX, ApiKey, presented_key
from ingest_api.dependencies import BEARER, KEY_HEADER, ReadKeyDep, Services, ServicesDep
from ingest_api.live import api_docs
from ingest_api.live.connections import EventStreamResponse, serve_socket
from ingest_api.live.feed import Start
from ingest_api.live.filters import Filters
from ingest_api.live.positions import BadPositionError, Position
from ingest_api.live.protocols import STREAM_PATH
from ingest_api.middleware import request_id
from ingest_api.openapi import json_answer, problem_responses
from ingest_api.routes.tokens import TOKEN_PROBLEMS, TokenAnswer

router = APIRouter(tags=["live"])

EVENT_STREAM: Final = "text/event-stream"
SUBPROTOCOL: Final = "llmscope"
TOKEN_SUBPROTOCOL: Final = "token."  # noqa: S105 - a prefix
NO_NUL: Final = "^[^\\x00]*$"


class StreamParameters(BaseModel):
    """What a client may ask of the feed. The filters are those of `GET /events/recent` and more."""

    model_config = ConfigDict(extra="forbid")

    last_event_id: str = Field(
        "", max_length=60, description="Resume behind this `id`; the header goes before."
    )
    token: str = Field("", max_length=200, description="A token, for clients without headers.")
    provider_name: str | None = Field(None, max_length=128, pattern=NO_NUL)
    model: str | None = Field(None, max_length=256, pattern=NO_NUL)
    user_id: str | None = Field(None, max_length=256, pattern=NO_NUL)
    status: Literal["success", "error"] | None = None
    environment: str | None = Field(None, max_length=128, pattern=NO_NUL)
    service_name: str | None = Field(None, max_length=128, pattern=NO_NUL)

    @property
    def filters(self) -> Filters:
        """Which events are wanted."""
        return Filters(**{name: getattr(self, name) for name in Filters._fields})

    def position(self, header: str | None) -> Position | None:
        """Behind what the client wants to go on.

        Raises:
            BadParameterError: it is no id of the feed.
        """
        text = header or self.last_event_id
        try:
            return Position.parse(text) if text else None
        except BadPositionError as error:
            raise _bad("last_event_id", str(error)) from None


async def _authenticate(services: Services, connection: HTTPConnection, token: str) -> ApiKey:
    """The key of a connection, from its headers or behind its token.

    Raises:
        Problem: it has none, or one that may not read.
    """
    _refuse_key_in_url(connection.query_params)
    presented = presented_key(dict(connection.scope["headers"]))
    if presented is None and token:
        return await services.keys.find_by_id(await services.tokens.read(token), "read")
    return await services.keys.find(presented, "read")


async def _find_key(
    request: Request,
    services: ServicesDep,
    _bearer: Annotated[object, Security(BEARER)],
    _key_header: Annotated[object, Security(KEY_HEADER)],
) -> ApiKey:
    """Before the parameters are looked at: a key among them needs words of its own."""
    return await _authenticate(services, request, request.query_params.get("token", ""))


StreamKeyDep = Annotated[ApiKey, Depends(_find_key)]


@router.post(
    f"{STREAM_PATH}/token",
    summary="A token that opens the live feed, for browsers",
    responses={
        **json_answer(api_docs.EXAMPLE_TOKEN),
        **problem_responses(*TOKEN_PROBLEMS),
    },
)
async def make_token(key: ReadKeyDep, services: ServicesDep) -> TokenAnswer:
    """The token sees what the key sees, and dies with it. Ask for it on your server, where the key
    is, and hand it to the page: as `?token=`, or as the subprotocol `token.<token>` of a WebSocket.
    """
    return await TokenAnswer.made(services.tokens, key.api_key_id)


@router.get(
    STREAM_PATH,
    summary="The live feed as Server-Sent Events",
    status_code=200,
    response_class=EventStreamResponse,
    responses={**api_docs.STREAM_ANSWER, **problem_responses(*api_docs.STREAM_PROBLEMS)},
    description=api_docs.STREAM_DESCRIPTION,
)
async def stream(
    request: Request,
    key: StreamKeyDep,
    services: ServicesDep,
    parameters: Annotated[StreamParameters, Query()],
    last_event_id: Annotated[str | None, Header(max_length=60)] = None,
) -> EventStreamResponse:
    """Messages without end."""
    position = parameters.position(last_event_id)
    if not _takes_event_stream(request.headers.get("accept", "")):
        raise errors.NotAcceptableError(errors.NotAcceptableError.example)
    start = await services.feed.find_start(key, position)
    return EventStreamResponse(services.feed, key, parameters.filters, start)


@router.websocket_route(STREAM_PATH)
async def stream_by_socket(socket: WebSocket) -> None:
    """The live feed as frames, each an array of messages. Refusals are answers to the handshake."""
    services: Services = socket.app.state.services
    try:
        key, filters, start = await _admit(services, socket)
    except errors.Problem as problem:
        refusal = problem.response(request_id(socket.scope))
        refusal.headers["X-Request-Id"] = request_id(socket.scope)
        await socket.send_denial_response(refusal)
        return
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None)
    await serve_socket(services.feed, key, filters, start, socket.receive, socket.send)


async def _admit(services: Services, socket: WebSocket) -> tuple[ApiKey, Filters, Start]:
    """Whose events a WebSocket wants, which, and from where on.

    Raises:
        Problem: it may not have them.
    """
    _check_origin(socket.headers, services.settings.cors_origins)
    query = dict(socket.query_params)
    _refuse_key_in_url(query)
    try:
        parameters = StreamParameters.model_validate(query)
    except ValidationError as error:
        found = error.errors()[0]
        raise _bad(str(found["loc"][0]), found["msg"]) from None
    key = await _authenticate(services, socket, _subprotocol_token(socket) or parameters.token)
    position = parameters.position(socket.headers.get("last-event-id"))
    return key, parameters.filters, await services.feed.find_start(key, position)


def _refuse_key_in_url(query: Mapping[str, str]) -> None:
    """URLs end up in logs.

    Raises:
        BadParameterError: the query has a key.
    """
    for name, value in query.items():
        if KEY_PREFIX in value:
            raise _bad(
                name,
                "carries an API key, and URLs end up in logs: revoke that key, send the new one as "
                f"`Authorization: Bearer`, and give browsers a token of POST {STREAM_PATH}/token",
            )


def _subprotocol_token(socket: WebSocket) -> str:
    offered: list[str] = socket.scope["subprotocols"]
    tokens = [one.removeprefix(TOKEN_SUBPROTOCOL) for one in offered if one != SUBPROTOCOL]
    if tokens and SUBPROTOCOL not in offered:
        raise _bad("Sec-WebSocket-Protocol", f"offer `{SUBPROTOCOL}` beside the token")
    return tokens[0] if tokens else ""


def _check_origin(headers: Mapping[str, str], allowed: tuple[str, ...]) -> None:
    """Let pages of the API itself and of configured origins in, as CORS does for requests.

    Raises:
        ForbiddenError: the page is of another origin.
    """
    origin = headers.get("origin")
    if origin is None or "*" in allowed or origin in allowed:
        return
    if urlsplit(origin).netloc != headers.get("host"):
        raise errors.ForbiddenError(
            "Pages of this origin may not connect: add it to LLMSCOPE_CORS_ORIGINS."
        )


def _takes_event_stream(accept: str) -> bool:
    """Whether the client names the form; `*/*` is what those send who expect a page that ends."""
    return EVENT_STREAM in accept.lower()


def _bad(field: str, reason: str) -> errors.BadParameterError:
    return errors.BadParameterError(
        f"{field}: {reason}", extra={"errors": [{"field": field, "reason": reason}]}
    )
