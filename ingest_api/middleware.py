"""What every request passes: an id, a stopwatch, and an answer to what nobody expected."""

import itertools
import logging
import re
import secrets
import traceback
from collections.abc import Awaitable, Iterator
from time import perf_counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest_api.errors import InternalError
from ingest_api.metrics import Metrics, route_of

logger = logging.getLogger(__name__)

# What nginx notes for a client that went away before its answer.
CLIENT_CLOSED_REQUEST: Final = 499
REQUEST_ID: Final = "llmscope.request_id"
_SANE_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")


def request_id(scope: Scope) -> str:
    """The id of the request behind `scope`."""
    found: str = scope[REQUEST_ID]
    return found


class Observer:
    """ASGI middleware: gives each request an id, measures it, and answers what nobody expected.

    An id that the client sent as `X-Request-Id` is taken over where it is of 1 to 128 letters,
    digits, dots, underscores and hyphens.

    Of an unexpected exception the log gets the place and the kind. It does not get the message,
    which may quote an event.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics
        self._new_ids = _request_ids()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; observe its answer."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        started_at = perf_counter()
        identity = self.identify(_presented_id(scope))
        scope[REQUEST_ID] = identity.decode()
        if scope["type"] == "websocket":
            await self.app(scope, receive, send)
            return
        status = CLIENT_CLOSED_REQUEST

        def send_observed(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", identity)]
            return send(message)

        try:
            await self.app(scope, receive, send_observed)
        except Exception as error:
            logger.error("request %s failed: %s", request_id(scope), describe(error))
            # Once an answer has begun the server can only close the connection, and does.
            if status == CLIENT_CLOSED_REQUEST:
                response = InternalError(InternalError.example).response(request_id(scope))
                await response(scope, receive, send_observed)
        finally:
            seconds = perf_counter() - started_at
            self.metrics.observe_request(scope["method"], route_of(scope), status, seconds)

    def identify(self, presented: bytes | None) -> bytes:
        """The id of a request: the one that it brought where that is sane, or a new one."""
        is_sane = presented is not None and _SANE_REQUEST_ID.fullmatch(presented)
        return presented if presented and is_sane else next(self._new_ids)


def _presented_id(scope: Scope) -> bytes | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return bytes(value)
    return None


def _request_ids() -> Iterator[bytes]:
    """Ids that no other process makes: 64 random bits of this process and a running number."""
    prefix = secrets.token_hex(8).encode()
    return (b"%b-%d" % (prefix, number) for number in itertools.count())


def describe(error: BaseException) -> str:
    """Kind and stack of an exception and of what caused it, without any message."""
    cause = error.__cause__ or error.__context__
    before = f"{describe(cause)}\ncaused " if cause else ""
    stack = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    return f"{before}{type(error).__qualname__}\n{stack}"
