"""From a request to its answer: snapshot, ETag, cache, plan, rows, bytes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from pydantic import BaseModel
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ingest_api.analytics.cache import Cache, name_of
from ingest_api.analytics.parameters import Format, PeriodParameters, accepted_format, canonical
from ingest_api.analytics.periods import Period, read_period, read_zone
from ingest_api.analytics.plans import MAX_ROWS, Asked, Plan, Results, check_rows
from ingest_api.analytics.warehouse import Context, Snapshot, Warehouse
from ingest_api.analytics.writing import MEDIA_TYPES, Writer, writer_for

MAX_EXPORT_ROWS: Final = 1_000_000
EXPORT_BATCH_ROWS: Final = 2_000
# Of an answer that nobody reads to its end.
MAX_EXPORT_SECONDS: Final = 600
# Part of every name and ETag: an answer of an older program is another one.
FORM_VERSION: Final = 1
JSON: Final[Format] = "json"

Planner = Callable[[Asked, Format], Plan]


class Request(NamedTuple):
    """One question of a client.

    Attributes:
        route: Its name, as in `timeseries`.
        known_etags: The value of `If-None-Match`.
    """

    route: str
    project_id: UUID
    parameters: PeriodParameters
    accept: str
    known_etags: str


@dataclass(frozen=True)
class Analytics:
    """Answers questions."""

    warehouse: Warehouse
    cache: Cache

    async def answer(self, request: Request, planner: Planner) -> Response:
        """The answer of a request.

        Raises:
            Problem: the question is wrong, asks for too much, takes too long, or Postgres is away.
        """
        form = accepted_format(request.parameters.format, request.accept)
        period = _period_of(request.parameters)
        if form == JSON:
            return await self._answer_json(request, period, planner)
        return await self._export(request, period, planner, form)

    async def _answer_json(self, request: Request, period: Period, planner: Planner) -> Response:
        async with self.warehouse.snapshot() as snapshot:
            context = await snapshot.context(request.project_id)
            name = _name(request, period, context, JSON)
            plan = planner(_asked(request, period, context), JSON)
            if _is_known(name, request.known_etags):
                return _unchanged(name)
            if body := await self.cache.get(request.project_id, name):
                return _response(body, name, is_cached=True)
            results = [await snapshot.rows(statement) for statement in plan.statements]
        body = _json(plan, period, context, results)
        put = BackgroundTask(self.cache.put, request.project_id, name, body)
        return _response(body, name, background=put)

    async def _export(
        self, request: Request, period: Period, planner: Planner, form: Format
    ) -> Response:
        async with AsyncExitStack() as stack:
            snapshot = await stack.enter_async_context(self.warehouse.snapshot(is_export=True))
            context = await snapshot.context(request.project_id)
            name = _name(request, period, context, form)
            plan = planner(_asked(request, period, context), form)
            if _is_known(name, request.known_etags):
                return _unchanged(name)
            writer = writer_for(form, plan.columns)
            headers = {**_headers(name), "Content-Disposition": _disposition(request, form)}
            if not plan.is_streamed:
                results = [await snapshot.rows(statement) for statement in plan.statements]
                body = _written(plan, writer, results)
                return Response(body, headers=headers, media_type=MEDIA_TYPES[form])
            count = await snapshot.count(plan.statements[0], MAX_EXPORT_ROWS + 1)
            check_rows(count, MAX_EXPORT_ROWS, "shorten the period, filter, or group by less.")
            kept = stack.pop_all()
            return Export(_stream(snapshot, writer), kept, headers, MEDIA_TYPES[form])


class Export(StreamingResponse):
    """A stream that gives its connection back however it ends."""

    def __init__(
        self,
        content: AsyncIterator[bytes],
        kept: AsyncExitStack,
        headers: dict[str, str],
        media_type: str,
    ) -> None:
        super().__init__(content, headers=headers, media_type=media_type)
        self._kept = kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the rows.

        Raises:
            TimeoutError: the client did not read them in time; the answer is cut off.
        """
        async with self._kept, asyncio.timeout(MAX_EXPORT_SECONDS):
            await super().__call__(scope, receive, send)


async def _stream(snapshot: Snapshot, writer: Writer) -> AsyncIterator[bytes]:
    async for batch in snapshot.batches(EXPORT_BATCH_ROWS):
        # A batch takes 20 ms, in which the loop should take events.
        yield await asyncio.to_thread(writer.write, batch)
    yield writer.close()


def _period_of(parameters: PeriodParameters) -> Period:
    zone = read_zone(parameters.time_zone)
    return read_period(parameters.from_, parameters.to, zone, datetime.now(UTC))


def _asked(request: Request, period: Period, context: Context) -> Asked:
    newest = context.newest_started_at
    return Asked(request.project_id, period, context.declared_tags, newest)


def _name(request: Request, period: Period, context: Context, form: Format) -> bytes:
    """Of an answer: the same project, question and marts give the same name."""
    question: BaseModel = request.parameters
    return name_of(
        FORM_VERSION, request.project_id, request.route, canonical(question), form,
        period.start, period.end, sorted(context.declared_tags), context.refreshed_at,
    )  # fmt: skip


def _etag(name: bytes) -> str:
    return f'"{name.hex()}"'


def _is_known(name: bytes, known_etags: str) -> bool:
    """Whether the client has this answer (RFC 9110, 13.1.2: weak comparison)."""
    known = {tag.strip().removeprefix("W/") for tag in known_etags.split(",")}
    return _etag(name) in known or "*" in known


def _headers(name: bytes) -> dict[str, str]:
    return {
        "ETag": _etag(name),
        # A client may keep it, and must ask whether it still holds.
        "Cache-Control": "private, no-cache",
        "Vary": "Accept, Authorization, X-API-Key",
    }


def _unchanged(name: bytes) -> Response:
    return Response(status_code=304, headers=_headers(name))


def _response(
    body: bytes, name: bytes, *, is_cached: bool = False, background: BackgroundTask | None = None
) -> Response:
    headers = {**_headers(name), "X-Cache": "hit" if is_cached else "miss"}
    return Response(body, headers=headers, media_type=MEDIA_TYPES[JSON], background=background)


def _json(plan: Plan, period: Period, context: Context, results: Results) -> bytes:
    body = plan.body(results)
    check_rows(
        max((len(part) for part in body.values() if isinstance(part, list)), default=0),
        MAX_ROWS,
        "shorten the period, filter, give a `limit`, or ask for format=csv or parquet, which "
        f"hold {MAX_EXPORT_ROWS:,} rows.",
    )
    tables = dict.fromkeys(
        scan.source.table for statement in plan.statements for scan in statement.scans
    )
    shown = {
        "from": period.shown(period.start),
        "to": period.shown(period.end),
        "time_zone": period.zone.key,
    }
    return msgspec.json.encode(
        {
            "period": shown,
            "refreshed_at": context.refreshed_at,
            "tables": [f"marts.{table}" for table in tables],
            **body,
        }
    )


def _written(plan: Plan, writer: Writer, results: Results) -> bytes:
    names = [column.name for column in plan.columns]
    rows: list[list[Any]] = [[row[name] for name in names] for row in plan.table(results)]
    return writer.write(rows) + writer.close()


def _disposition(request: Request, form: Format) -> str:
    return f'attachment; filename="llmscope_{request.route}.{form}"'
