"""uvicorn's HTTP protocol with a short way for events.

A request for events that is plain and that nothing speaks against is answered here, with neither a
task nor ASGI's scope, messages and events: they cost more than all else that an event takes. What
is odd in any way goes to the application as it came, so that every refusal is worded there alone.
"""

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass, field
from time import perf_counter
from typing import ClassVar, Final, NamedTuple
from weakref import WeakKeyDictionary

import msgspec
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from ingest_api.app import Api
from ingest_api.auth import ApiKey, hash_key, presented_key
from ingest_api.dependencies import Services
from ingest_api.errors import Problem
from ingest_api.ingest import ROUTES, Headers, RawHeaders, Route, Storing, begin_to_store, outcome
from ingest_api.live.protocols import FeedHttpProtocol
from ingest_api.metrics import Metrics

ROUTES_BY_URL: Final = {path.encode(): route for path, route in ROUTES.items()}
ACCEPTED: Final = 202
# Who sends one of these wants more than an answer to a body that is what it seems.
ODD_HEADERS: Final = frozenset({b"content-encoding", b"expect", b"transfer-encoding", b"upgrade"})
# Known heads take 2 MB at most, and mostly a tenth of that.
MAX_KNOWN_HEADS: Final = 1_000
MAX_KNOWN_HEAD_BYTES: Final = 1_024
# Behind so many new heads of a connection no more are remembered: each is one of its own, and to
# remember it in vain takes 2 us.
MAX_NEW_HEADS_IN_A_ROW: Final = 200


class _Head(NamedTuple):
    """What the head of a plain request says.

    Attributes:
        digest: The hash of its key.
    """

    services: Services
    route: Route
    headers: Headers
    digest: bytes | None
    body_bytes: int


# A client sends the same heads again and again, and to parse and judge one takes an eighth of what
# a single event takes.
_KNOWN_HEADS: Final[WeakKeyDictionary[ServerState, dict[bytes, _Head]]] = WeakKeyDictionary()


class _Exchange(msgspec.Struct):
    """A plain request and its answer. It stands where uvicorn keeps the request under way, which
    sets `disconnected` and `keep_alive` and looks at `response_complete`.
    """

    # uvicorn sets it for those who wait for more of a body; this body is complete.
    message_event: ClassVar = asyncio.Event()
    head: _Head
    key: ApiKey
    started_at: float
    body: bytes = b""
    disconnected: bool = False
    response_complete: bool = False
    keep_alive: bool = True


@dataclass(slots=True)
class _Tally:
    """Answers of one kind: the seconds that each took, and the events in them."""

    durations: list[float] = field(default_factory=list)
    event_count: int = 0


class _Answering:
    """Requests that share a write to Redis. They are answered and counted together: a callback and
    a count for each would take a tenth of what a single event takes.
    """

    __slots__ = ("exchanges", "written")

    def __init__(self, written: asyncio.Future[None]) -> None:
        self.written = written
        self.exchanges: deque[tuple[EventProtocol, _Exchange, Storing]] = deque()
        written.add_done_callback(self._answer)

    def _answer(self, _written: object) -> None:
        tallies: defaultdict[tuple[Metrics, str, int], _Tally] = defaultdict(_Tally)
        try:
            while self.exchanges:
                protocol, exchange, storing = self.exchanges.popleft()
                status = protocol.answer(exchange, storing)
                tally = tallies[protocol.app.metrics, exchange.head.route.path, status]
                tally.durations.append(perf_counter() - exchange.started_at)
                tally.event_count += len(storing.batch.ids)
        finally:
            for (metrics, path, status), tally in tallies.items():
                metrics.observe_requests("POST", path, status, tally.durations)
                if status == ACCEPTED:
                    metrics.count_accepted(tally.event_count)
            if self.exchanges:
                # One that cannot be answered costs the others nothing.
                asyncio.get_running_loop().call_soon(self._answer, None)


def _header_lines(headers: RawHeaders) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class EventProtocol(FeedHttpProtocol):
    """Answers plain requests for events, and passes all others on to the application."""

    app: Api
    # What the newest write of this process is waited for by; another write has another one.
    _newest: ClassVar[_Answering | None] = None
    _defaults: ClassVar[tuple[RawHeaders, bytes]] = ([], b"")
    # Heads of plain requests as they came to this server, and what they say.
    _heads: dict[bytes, _Head]
    # Whether all that came was whole requests, of which the last is answered here.
    _is_between_requests = False
    # Heads that were new, since the last that was known.
    _new_heads = 0
    # A request whose body is still coming in.
    _held: _Exchange | None = None
    # Since when nothing was asked after an answer that was given here, and who looks at that.
    _idle_since: float | None = None
    _idle_timer: asyncio.TimerHandle | None = None
    # The headers with the key of the last request, and its hash.
    _carriers: tuple[bytes | None, bytes | None] = (None, None)
    _digest: bytes | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Share what is known of heads with the other connections of the server."""
        super().connection_made(transport)
        self._heads = _KNOWN_HEADS.setdefault(self.server_state, {})

    def data_received(self, data: bytes) -> None:
        """Note that the client asks; the timer stays, as a new one for each answer costs 2 us."""
        self._idle_since = None
        if not self._is_between_requests or self._new_heads > MAX_NEW_HEADS_IN_A_ROW:
            super().data_received(data)
        elif self._take_known(data):
            self._new_heads = 0
        else:
            super().data_received(data)
            self._remember_head(data)

    def on_message_begin(self) -> None:
        """Begin a request; ASGI's scope is made for those that need it."""
        self._is_between_requests = False
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Hold a plain request back; uvicorn hands all others to the application by now."""
        self._held = self._hold()
        if self._held is None:
            self._ask_application()

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
            self._held, self._is_between_requests = None, True
            return
        self._pass_on()
        super().on_message_complete()

    def shutdown(self) -> None:
        """Finish what has begun to come in, too."""
        self._pass_on()
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the application note a request that was never complete."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._pass_on()
        super().connection_lost(exc)

    def _take_known(self, data: bytes) -> bool:
        """Begin to store the events of a whole request whose head came before, byte for byte.

        Between requests the parser would read it as it did then. False: it is left to the parser.
        """
        body_at = data.find(b"\r\n\r\n") + 4
        head = self._heads.get(data[:body_at])
        if head is None or head.body_bytes != len(data) - body_at:
            return False
        exchange = self._begin(head)
        if exchange is None:
            return False
        self._unset_keepalive_if_required()
        exchange.body = data[body_at:]
        return self._begin_to_store(exchange)

    def _remember_head(self, data: bytes) -> None:
        """Remember the head in `data`, where that was one whole request which is answered here."""
        body_at = data.find(b"\r\n\r\n") + 4
        exchange = self.cycle
        if (
            not self._is_between_requests
            or not isinstance(exchange, _Exchange)
            or body_at > MAX_KNOWN_HEAD_BYTES
            or exchange.head.body_bytes != len(data) - body_at
        ):
            return
        if len(self._heads) >= MAX_KNOWN_HEADS:
            self._heads.clear()
        self._heads[data[:body_at]] = exchange.head
        self._new_heads += 1

    def _hold(self) -> _Exchange | None:
        """The request whose headers are complete, where it is plain and its key may send events."""
        route = ROUTES_BY_URL.get(self.url)
        if route is None:
            return None
        headers = dict(self.headers)
        if not self._is_plain(headers):
            return None
        body_bytes = int(headers[b"content-length"])
        digest = self._key_digest(headers)
        return self._begin(_Head(self.app.state.services, route, headers, digest, body_bytes))

    def _begin(self, head: _Head) -> _Exchange | None:
        # Answers keep the order of the requests, and wait for a client that does not read them.
        is_busy = self.cycle is not None and not self.cycle.response_complete
        if is_busy or self.flow.write_paused:
            return None
        key = head.services.keys.find_known(head.digest, "ingest")
        return _Exchange(head, key, perf_counter()) if key else None

    def _key_digest(self, headers: Headers) -> bytes | None:
        """The hash of the key; a connection mostly brings the same one, which is hashed once."""
        carriers = headers.get(b"authorization"), headers.get(b"x-api-key")
        if carriers != self._carriers:
            presented = presented_key(headers)
            self._carriers, self._digest = carriers, hash_key(presented) if presented else None
        return self._digest

    def _is_plain(self, headers: Headers) -> bool:
        settings = self.app.settings
        largest = min(HIGH_WATER_LIMIT, settings.max_body_bytes)
        return (
            # Where pages of other origins may call, answers have headers of their own.
            not settings.cors_origins
            and ODD_HEADERS.isdisjoint(headers)
            and 0 < int(headers.get(b"content-length", 0)) <= largest
            and self.parser.get_method() == b"POST"
            and self.parser.should_keep_alive()
            # Without that header only HTTP/1.1 keeps a connection.
            and (b"connection" not in headers or self.parser.get_http_version() == "1.1")
        )

    def _begin_to_store(self, held: _Exchange) -> bool:
        head = held.head
        storing = begin_to_store(head.services, head.route, held.key, head.headers, held.body)
        if storing is None:
            return False
        self.cycle = held  # type: ignore[assignment]
        answering = EventProtocol._newest
        if answering is None or answering.written is not storing.written:
            answering = EventProtocol._newest = _Answering(storing.written)
        answering.exchanges.append((self, held, storing))
        return True

    def answer(self, exchange: _Exchange, storing: Storing) -> int:
        """Tell the client what became of its events; the status."""
        identity = self.app.observer.identify(exchange.head.headers.get(b"x-request-id"))
        try:
            status, (body, lines) = ACCEPTED, outcome(exchange.head.services, storing)
        except Problem as problem:
            response = problem.response(identity.decode())
            status, body = response.status_code, bytes(response.body)
            lines = _header_lines(response.raw_headers)
        if not self.transport.is_closing():
            end = b"" if exchange.keep_alive else b"connection: close\r\n"
            # In one piece; in two it would be two calls of the system.
            self.transport.write(
                b"%b%b%bx-request-id: %b\r\n%b\r\n%b"
                % (STATUS_LINE[status], self._default_lines(), lines, identity, end, body)
            )
        exchange.response_complete = True
        if not exchange.keep_alive:
            self.transport.close()
        self._go_on()
        return status

    def _go_on(self) -> None:
        """What uvicorn does behind an answer, with a timer that is kept."""
        if self.pipeline or self.flow.read_paused or self.transport.is_closing():
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._close_if_idle)

    def _close_if_idle(self) -> None:
        self._idle_timer = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._close_if_idle)
        else:
            self.timeout_keep_alive_handler()

    def _default_lines(self) -> bytes:
        """What uvicorn puts into every answer: it makes a new list each second, for the date."""
        defaults, lines = EventProtocol._defaults
        if defaults is not self.server_state.default_headers:
            defaults = self.server_state.default_headers
            lines = _header_lines(defaults)
            EventProtocol._defaults = defaults, lines
        return lines

    def _pass_on(self) -> None:
        """Hand a request that was held back to the application, as far as it has come."""
        held, self._held = self._held, None
        if held is not None:
            self._ask_application()
            super().on_body(held.body)

    def _ask_application(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        super().on_headers_complete()
