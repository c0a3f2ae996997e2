"""OTLP/HTTP: what OpenTelemetry's exporters and collectors send."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ingest_api import errors
from ingest_api.auth import ApiKey
from ingest_api.body import read_body
from ingest_api.dependencies import RequireKey, Services, ServicesDep
from ingest_api.ingest import store
from ingest_api.limits import Standing
from ingest_api.otlp.answers import status_answer, traces_answer, warning_answer
from ingest_api.otlp.api_docs import (
    BODY_PROBLEMS,
    EXAMPLE_TRACES,
    STORE_PROBLEMS,
    ignored_body,
    request_body,
    responses,
)
from ingest_api.otlp.batches import Traces, read_traces
from ingest_api.otlp.decoding import JSON, PROTOBUF, media_type
from ingest_api.otlp.json_spans import check_json

# Exporters append /v1/traces to OTEL_EXPORTER_OTLP_ENDPOINT: the address of the API, or this.
PREFIX: Final = "/api/v1/otlp"
TRACES_ONLY: Final = (
    "LLMScope reads model calls from traces alone and keeps nothing of this: send it elsewhere, or "
    "set OTEL_LOGS_EXPORTER=none and OTEL_METRICS_EXPORTER=none."
)

IngestKeyDep = Annotated[ApiKey, Depends(RequireKey("ingest"))]


class OtlpRoute(APIRoute):
    """Answers problems as OTLP/HTTP wants them: a Status in the media type of the request."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler with problems turned into answers."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except errors.Problem as problem:
                media = media_type(request.headers.get("content-type", "")) or JSON
                body = status_answer(problem.detail, media)
                return Response(body, problem.status, problem.headers, media)

        return answer


router = APIRouter(tags=["otlp"], route_class=OtlpRoute)

_TRACES_DOCS: Final[dict[str, Any]] = {
    "response_class": Response,
    "responses": responses(
        "On disk: the calls of all spans that `partialSuccess` does not count.",
        "resourceSpans[0].scopeSpans[0].spans[2]: traceId must be 32 hex digits",
        STORE_PROBLEMS,
        is_limited=True,
    ),
    "openapi_extra": request_body("resourceSpans", EXAMPLE_TRACES),
}


@router.post("/v1/traces", **_TRACES_DOCS)
@router.post(f"{PREFIX}/v1/traces", **_TRACES_DOCS)
async def export_traces(request: Request, key: IngestKeyDep, services: ServicesDep) -> Response:
    """Take the model calls among spans; other spans are no error. docs/opentelemetry.md says which
    span is a call."""
    media, body = await _read(request, services)
    # 20 MiB take up to 0.2 s: other requests are answered meanwhile.
    traces = await run_in_threadpool(
        read_traces,
        body,
        media,
        key.project_id,
        datetime.now(UTC),
        services.settings.max_batch_events,
        with_content=key.content_policy == "all",
    )
    standing = await _store(services, key, traces)
    headers = standing.headers() if standing else None
    return Response(traces_answer(traces.rejected, media), headers=headers, media_type=media)


_IGNORED_DOCS: Final[dict[str, Any]] = {
    "response_class": Response,
    "responses": responses("Read and not kept.", TRACES_ONLY, BODY_PROBLEMS, is_limited=False),
    "openapi_extra": ignored_body({}),
}


@router.post("/v1/logs", **_IGNORED_DOCS)
@router.post(f"{PREFIX}/v1/logs", **_IGNORED_DOCS)
async def ignore_logs(request: Request, _key: IngestKeyDep, services: ServicesDep) -> Response:
    """Take logs and keep nothing of them: an exporter that sends everything must not fail."""
    return await _ignore(request, services)


@router.post("/v1/metrics", **_IGNORED_DOCS)
@router.post(f"{PREFIX}/v1/metrics", **_IGNORED_DOCS)
async def ignore_metrics(request: Request, _key: IngestKeyDep, services: ServicesDep) -> Response:
    """Take metrics and keep nothing of them, as with logs."""
    return await _ignore(request, services)


async def _ignore(request: Request, services: Services) -> Response:
    media, body = await _read(request, services)
    if media == JSON:
        check_json(body)
    return Response(warning_answer(TRACES_ONLY, media), media_type=media)


async def _read(request: Request, services: Services) -> tuple[str, bytes]:
    """Media type and decoded body."""
    media = media_type(request.headers.get("content-type", ""))
    if media is None:
        raise errors.UnsupportedEncodingError(
            f"Send OTLP as `Content-Type: {PROTOBUF}` or `{JSON}`."
        )
    headers = dict(request.scope["headers"])
    return media, await read_body(request.receive, headers, services.settings.max_otlp_body_bytes)


async def _store(services: Services, key: ApiKey, traces: Traces) -> Standing | None:
    """Write every batch. Where a later one fails the exporter sends all of them again, and what is
    there already stays one row: ids are derived from those of the spans."""
    if traces.rejected:
        services.metrics.count_rejected(errors.RejectedEventsError.type, len(traces.rejected))
    standing = None
    for batch in traces.batches:
        if batch.ids:
            standing = await store(services, key, batch)
    return standing
