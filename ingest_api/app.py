"""`create_app`: routes, lifespan and error handlers."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from psycopg_pool import AsyncConnectionPool
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest_api.analytics.answering import Analytics
from ingest_api.analytics.cache import Cache
from ingest_api.analytics.warehouse import Warehouse
from ingest_api.auth import KeyRing
from ingest_api.body import ClientGoneError
from ingest_api.dependencies import Services
from ingest_api.errors import (
    BadParameterError,
    InternalError,
    MethodNotAllowedError,
    NotFoundError,
    Problem,
)
from ingest_api.estimates import CostEstimates
from ingest_api.ingest import IngestDoor
from ingest_api.limits import Limiter
from ingest_api.live.feed import LiveFeed
from ingest_api.live.tokens import INGESTION, Tokens
from ingest_api.metrics import Metrics
from ingest_api.middleware import CLIENT_CLOSED_REQUEST, Observer, request_id
from ingest_api.openapi import DESCRIPTION, TAGS, complete
from ingest_api.reports import DataDocsPages, ReportSite
from ingest_api.routes import (
    alert_rules,
    alerts,
    analytics,
    budgets,
    dead_letters,
    events,
    health,
    live,
    metrics,
    notifications,
    otlp,
    prices,
    tokens,
)
from ingest_api.settings import Settings, SettingsError
from ingest_api.stream import (
    EventStreamWriter,
    StreamError,
    connect_async,
    find_durability_gaps,
)

logger = logging.getLogger(__name__)

CORS_REQUEST_HEADERS = (
    "Authorization", "X-API-Key", "Content-Type", "Content-Encoding", "X-Request-Id",
    "If-None-Match", "Last-Event-ID",
)  # fmt: skip
CORS_ANSWER_HEADERS = (
    "X-Request-Id", "Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset",
    "ETag",
)  # fmt: skip


class Api(FastAPI):
    """FastAPI behind what every request passes, and behind the door for events.

    The way in: CORS where it is configured, then the request's id and its stopwatch, then the
    routes that take events, then FastAPI with all others.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            title="LLMScope",
            version="0.1.0",
            description=DESCRIPTION,
            openapi_tags=TAGS,
            lifespan=_lifespan(settings),
            redirect_slashes=False,
            # Of an exception it would export the message, which may quote an event.
            telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        )
        self.settings = settings
        self.metrics = Metrics()
        self.observer = Observer(IngestDoor(super().__call__, self.state), self.metrics)
        self.entry: ASGIApp = self.observer
        if settings.cors_origins:
            self.entry = _with_cors(self.entry, settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        await self.entry(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi(), self.settings)
        return self.openapi_schema


def create_app(settings: Settings) -> Api:
    """The API as one ASGI application."""
    app = Api(settings)
    app.include_router(events.router)
    app.include_router(analytics.router)
    app.include_router(live.router)
    app.include_router(tokens.router)
    app.include_router(dead_letters.router)
    app.include_router(prices.router)
    app.include_router(budgets.router)
    app.include_router(notifications.router)
    app.include_router(alert_rules.router)
    app.include_router(alerts.router)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(otlp.router)
    app.add_route("/reports", _show_reports, include_in_schema=False)
    app.mount("/reports/data-docs", DataDocsPages(settings.home.resolve() / "data-docs"))
    app.mount("/reports", ReportSite(settings.home.resolve() / "reports" / "site"))
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(RequestValidationError, _answer_bad_parameter)
    app.add_exception_handler(ClientGoneError, _answer_nobody)
    app.add_exception_handler(Exception, _answer_internal_error)
    return app


def _with_cors(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=("GET", "POST"),
        allow_headers=CORS_REQUEST_HEADERS,
        expose_headers=CORS_ANSWER_HEADERS,
    )


def _lifespan(settings: Settings) -> Callable[[Api], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Api) -> AsyncIterator[None]:
        async with open_services(settings, app.metrics) as services:
            await _check_durability(services)
            app.state.services = services
            yield

    return lifespan


@asynccontextmanager
async def open_services(settings: Settings, metrics: Metrics) -> AsyncIterator[Services]:
    """Connections of one process. Neither Redis nor Postgres needs to answer yet."""
    client = connect_async(settings.redis_url, cluster=settings.redis_cluster)
    writing_client = connect_async(
        settings.redis_url, cluster=settings.redis_cluster, timeout_seconds=None
    )
    pool = AsyncConnectionPool(settings.database_url, min_size=1, max_size=4, open=False)
    await pool.open(wait=False)
    warehouse = Warehouse.at(settings.database_url, settings.query_timeout_seconds)
    await warehouse.open()
    keys = KeyRing(pool, client)
    await keys.refresh()
    stop = asyncio.Event()
    estimates = CostEstimates(pool)
    feed = LiveFeed(
        client, settings.stream_shards, keys, settings.live_limits, estimates.estimate, metrics
    )
    workers = [asyncio.create_task(part.run(stop)) for part in (keys, estimates, feed)]
    writer = EventStreamWriter(
        writing_client,
        settings.stream_shards,
        max_entries=settings.max_stream_entries,
        max_memory_bytes=settings.max_redis_memory_bytes,
    )
    try:
        yield Services(
            settings,
            client,
            pool,
            keys,
            writer,
            Limiter(client),
            metrics,
            estimates,
            Analytics(warehouse, Cache(client)),
            feed,
            Tokens(client, settings.live_token_seconds),
            Tokens(client, settings.ingest_token_seconds, INGESTION),
        )
    finally:
        await writer.drain()
        stop.set()
        await asyncio.gather(*workers)
        await warehouse.close()
        await pool.close()
        await writing_client.aclose()
        await client.aclose()


async def _check_durability(services: Services) -> None:
    """Warn loudly of a Redis that can lose writes, or refuse it.

    Raises:
        SettingsError: LLMSCOPE_DURABILITY is `require` and Redis is not durable.
    """
    try:
        gaps = await find_durability_gaps(services.client)
    except StreamError as error:
        logger.warning("Redis is away, its durability is unchecked: %s", error)
        return
    if not gaps:
        return
    words = "this Redis can lose acknowledged events: " + "; ".join(gaps)
    if services.settings.durability == "require":
        raise SettingsError(words)
    logger.warning("%s", words)


async def _show_reports(_request: Request) -> Response:
    return RedirectResponse("/reports/")


async def _answer_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this class alone
    return error.response(request_id(request.scope))


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    if error.status_code == 405:
        allowed = {"Allow": _allowed_methods(request, (error.headers or {}).get("Allow", ""))}
        answer: Problem = MethodNotAllowedError(NotFoundError.example, headers=allowed)
    else:
        answer = NotFoundError(NotFoundError.example, headers=error.headers)
    return answer.response(request_id(request.scope))


def _allowed_methods(request: Request, of_first_route: str) -> str:
    """Of all operations at the path: the router tells only those of the first."""
    documented = request.app.openapi()["paths"].get(request.url.path, {})
    return ", ".join(sorted(map(str.upper, documented))) or of_first_route


async def _answer_bad_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    found = [{"field": str(e["loc"][-1]), "reason": e["msg"]} for e in error.errors()]
    detail = "; ".join(f"{e['field']}: {e['reason']}" for e in found)
    return BadParameterError(detail, extra={"errors": found}).response(request_id(request.scope))


async def _answer_nobody(_request: Request, _error: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def _answer_internal_error(request: Request, _error: Exception) -> Response:
    """`Observer` hears of it too, and logs it."""
    return InternalError(InternalError.example).response(request_id(request.scope))
