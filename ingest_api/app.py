"""`create_app`: routes, lifespan and error handlers."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import redis.asyncio
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from psycopg_pool import AsyncConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ingest_api.auth import KeyRing
from ingest_api.dependencies import Services
from ingest_api.errors import BadParameterError, MethodNotAllowedError, NotFoundError, Problem
from ingest_api.reports import ReportSite
from ingest_api.routes import events, health
from ingest_api.settings import Settings, SettingsError
from ingest_api.stream import EventStreamWriter, StreamError, find_durability_gaps

logger = logging.getLogger(__name__)

DESCRIPTION = """The auditable LLM cost-and-usage ledger in your own Postgres.

Send one event per model call. A 202 means that the event is on disk and will be exactly one row.
Send the key as `Authorization: Bearer llms_...` or `X-API-Key`."""
# A write that Redis has not answered within this time is answered with 503; the sender repeats it.
REDIS_TIMEOUT_SECONDS = 5.0


def create_app(settings: Settings) -> FastAPI:
    """The API as one ASGI application."""
    app = FastAPI(
        title="LLMScope", version="0.1.0", description=DESCRIPTION, lifespan=_lifespan(settings)
    )
    app.include_router(events.router)
    app.include_router(health.router)
    app.mount("/reports", ReportSite(settings.home.resolve() / "reports" / "site"))
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(RequestValidationError, _answer_bad_parameter)
    return app


def _lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as services:
            await _check_durability(services)
            app.state.services = services
            yield

    return lifespan


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Connections of one process. Neither Redis nor Postgres needs to answer yet."""
    client = redis.asyncio.Redis.from_url(
        settings.redis_url,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        # A repeated write would be harmless, but the sender should hear of trouble at once.
        retry=Retry(NoBackoff(), 0),
    )
    pool = AsyncConnectionPool(settings.database_url, min_size=1, max_size=4, open=False)
    await pool.open(wait=False)
    keys = KeyRing(pool, client)
    await keys.refresh()
    stop = asyncio.Event()
    refresher = asyncio.create_task(keys.run(stop))
    writer = EventStreamWriter(client, settings.max_stream_entries)
    try:
        yield Services(settings, client, pool, keys, writer)
    finally:
        await writer.drain()
        stop.set()
        await refresher
        await pool.close()
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


async def _answer_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this class alone
    return error.response()


async def _answer_http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone
    problem = MethodNotAllowedError if error.status_code == 405 else NotFoundError
    headers = dict(error.headers or {})
    return problem("See /docs for the paths and their methods.", headers=headers).response()


async def _answer_bad_parameter(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    found = [{"field": str(e["loc"][-1]), "reason": e["msg"]} for e in error.errors()]
    detail = "; ".join(f"{e['field']}: {e['reason']}" for e in found)
    return BadParameterError(detail, extra={"errors": found}).response()
