"""uvicorn's HTTP protocol with a short way for events.

A request for events that is plain and that nothing speaks against is answered here, with neither a
task nor ASGI's scope, messages and events: they cost more than all else that an event takes. What
is odd in any way goes to the application as it came, so that every refusal is worded there alone.
"""

import asyncio
from functools import partial
from time import perf_counter
from typing import ClassVar, Final

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from ingest_api.app import Api
from ingest_api.auth import ApiKey, presented_key
from ingest_api.dependencies import Services
from ingest_api.errors import Problem
from ingest_api.ingest import ROUTES, Headers, RawHeaders, Route, Storing, begin_to_store, outcome
from ingest_api.live.protocols import FeedHttpProtocol

ROUTES_BY_URL: Final = {path.encode(): route for path, route in ROUTES.items()}
# Who sends one of these wants more than an answer to a body that is what it seems.
ODD_HEADERS: Final = frozenset({b"content-encoding", b"expect", b"transfer-encoding", b"upgrade"})


class _Exchange:
    """A plain request and its answer. It stands where uvicorn keeps the request under way, which
    sets `disconnected` and `keep_alive` and looks at `response_complete`.
    """

    __slots__ = (
        "body", "disconnected", "headers", "keep_alive", "key", "response_complete", "route",
        "services", "started_at", "storing",
    )  # fmt: skip
    # uvicorn sets it for those who wait for more of a body; this body is complete.
    message_event: ClassVar = asyncio.Event()
    storing: Storing

    def __init__(self, route: Route, key: ApiKey, headers: Headers, services: Services) -> None:
        self.route = route
        self.key = key
        self.headers = headers
        self.services = services
        self.started_at = perf_counter()
        self.body = b""
        self.disconnected = self.response_complete = False
        self.keep_alive = True


class EventProtocol(FeedHttpProtocol):
    """Answers plain requests for events, and passes all others on to the application."""

    app: Api
    # A request whose body is still coming in.
    _held: _Exchange | None = None

    def on_headers_complete(self) -> None:
        """Hold a plain request back; uvicorn hands all others to the application by now."""
        self._held = self._hold()
        if self._held is None:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Gather the body."""
        if self._held is None:
            super().on_body(body)
        else:
            self._held.body += body

    def on_message_complete(self) -> None:
        """Store the events, or let the application say what is wrong with them."""
        held = self._held
        if held is not None and self._begin_to_store(held):
            self._held, self.cycle = None, held  # type: ignore[assignment]
            return
        self._pass_on()
        super().on_message_complete()

    def shutdown(self) -> None:
        """Finish what has begun to come in, too."""
        self._pass_on()
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the application note a request that was never complete."""
        self._pass_on()
        super().connection_lost(exc)

    def _hold(self) -> _Exchange | None:
        """The request whose headers are complete, where it is plain and its key may send events."""
        route = ROUTES_BY_URL.get(self.url)
        # Answers keep the order of the requests, and wait for a client that does not read them.
        is_busy = self.cycle is not None and not self.cycle.response_complete
        if route is None or is_busy or self.flow.write_paused:
            return None
        headers = dict(self.headers)
        if not self._is_plain(headers):
            return None
        services: Services = self.app.state.services
        key = services.keys.find_known(presented_key(headers), "ingest")
        return _Exchange(route, key, headers, services) if key else None

    def _is_plain(self, headers: Headers) -> bool:
        settings = self.app.settings
        largest = min(HIGH_WATER_LIMIT, settings.max_body_bytes)
        return (
            # Where pages of other origins may call, answers have headers of their own.
            not settings.cors_origins
            and ODD_HEADERS.isdisjoint(headers)
            and 0 < int(headers.get(b"content-length", 0)) <= largest
            and self.parser.get_method() == b"POST"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
        )

    def _begin_to_store(self, held: _Exchange) -> bool:
        storing = begin_to_store(held.services, held.route, held.key, held.headers, held.body)
        if storing is None:
            return False
        held.storing = storing
        storing.written.add_done_callback(partial(self._answer, held))
        return True

    def _answer(self, exchange: _Exchange, _written: object) -> None:
        identity = self.app.observer.identify(exchange.headers.get(b"x-request-id"))
        try:
            status, (body, headers) = 202, outcome(exchange.services, exchange.storing)
        except Problem as problem:
            response = problem.response(identity.decode())
            status, body, headers = response.status_code, bytes(response.body), response.raw_headers
        headers.append((b"x-request-id", identity))
        if not exchange.keep_alive:
            headers.append((b"connection", b"close"))
        if not self.transport.is_closing():
            self._write(status, headers, body)
        exchange.response_complete = True
        seconds = perf_counter() - exchange.started_at
        self.app.metrics.observe_request("POST", exchange.route.path, status, seconds)
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _write(self, status: int, headers: RawHeaders, body: bytes) -> None:
        """An answer in one piece; in two it would be two calls of the system."""
        lines = [b"%b: %b\r\n" % header for header in self.server_state.default_headers + headers]
        self.transport.write(b"%b%b\r\n%b" % (STATUS_LINE[status], b"".join(lines), body))

    def _pass_on(self) -> None:
        """Hand a request that was held back to the application, as far as it has come."""
        held, self._held = self._held, None
        if held is not None:
            super().on_headers_complete()
            super().on_body(held.body)
