"""Figures for Prometheus."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from ingest_api.dependencies import Services, ServicesDep
from ingest_api.errors import UnavailableError
from ingest_api.metrics import Gauge
from ingest_api.openapi import METRICS_ANSWER
from ingest_api.routes.events import count_dead_letters
from ingest_api.stream import StreamError, read_stats

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response, responses=METRICS_ANSWER)
async def metrics(services: ServicesDep) -> Response:
    """Metrics of all API processes in Prometheus' text format. Needs no key.

    Gauges of the stream are missing while Redis is away, and `llmscope_dead_letters` while Postgres
    is.
    """
    gauges = [*await _stream_gauges(services), *await _dead_letter_gauges(services)]
    body = services.metrics.exposition(gauges)
    return Response(body, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _stream_gauges(services: Services) -> list[Gauge]:
    try:
        stream = await read_stats(services.client, services.settings.stream_shards)
    except StreamError:
        services.metrics.count_redis_error()
        return []
    return [
        Gauge(
            "llmscope_stream_entries",
            "Entries in the stream, with those that are loaded and kept for a while.",
            stream.entry_count,
        ),
        Gauge("llmscope_stream_lag_entries", "Entries not yet settled.", stream.lag_entry_count),
        Gauge(
            "llmscope_stream_lag_events",
            "Events accepted, not yet settled.",
            stream.lag_event_count,
        ),
        Gauge(
            "llmscope_stream_lag_seconds", "Age of the oldest unsettled event.", stream.lag_seconds
        ),
    ]


async def _dead_letter_gauges(services: Services) -> list[Gauge]:
    try:
        count = await count_dead_letters(services)
    except UnavailableError:
        return []
    return [Gauge("llmscope_dead_letters", "Events that wait for an operator.", count)]
