"""What Prometheus sees."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from ingest_api.settings import Settings
from ingest_api.test_ingest import BATCH, EVENT, INGEST
from tests.serving import serving

Sample = tuple[str, tuple[tuple[str, str], ...]]


async def scrape(client: httpx.AsyncClient) -> dict[Sample, float]:
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def durations(found: dict[Sample, float], method: str, route: str, status: int) -> float:
    labels = (("method", method), ("route", route), ("status", str(status)))
    return found.get(("llmscope_http_request_duration_seconds_count", labels), 0)


async def test_every_request_and_every_event_is_counted(client: httpx.AsyncClient) -> None:
    await client.post(BATCH, json=[EVENT, EVENT, {}])
    await client.post(INGEST, json={})
    await client.post(INGEST, json=EVENT, headers={"Authorization": "Bearer wrong"})
    await client.get("/api/v1/events/stats")
    found = await scrape(client)
    assert found["llmscope_events_accepted_total", ()] == 2
    assert found["llmscope_events_rejected_total", (("reason", "rejected-events"),)] == 2
    assert found["llmscope_stream_entries", ()] == 1
    assert found["llmscope_stream_lag_events", ()] == 2
    assert found["llmscope_stream_lag_seconds", ()] >= 0
    assert found["llmscope_dead_letters", ()] == 0
    assert found["llmscope_redis_errors_total", ()] == 0
    assert durations(found, "POST", BATCH, 202) == 1
    assert durations(found, "POST", INGEST, 422) == 1
    assert durations(found, "POST", INGEST, 401) == 1
    assert durations(found, "GET", "/api/v1/events/stats", 200) == 1


async def test_paths_and_methods_of_strangers_share_their_labels(
    client: httpx.AsyncClient,
) -> None:
    for method, path in [("GET", "/a"), ("GET", "/b"), ("BREW", "/c"), ("FOO", INGEST)]:
        await client.request(method, path)
    found = await scrape(client)
    assert durations(found, "GET", "unmatched", 404) == 2
    assert durations(found, "other", "unmatched", 404) == 1
    assert durations(found, "other", INGEST, 405) == 1


async def test_metrics_are_served_while_redis_and_postgres_are_away(settings: Settings) -> None:
    away = settings.model_copy(
        update={"database_url": "postgresql://127.0.0.1:1/none", "redis_url": "redis://127.0.0.1:1"}
    )
    async with serving(away) as client:
        found = await scrape(client)
    assert found["llmscope_redis_errors_total", ()] == 1
    assert ("llmscope_stream_entries", ()) not in found
    assert ("llmscope_dead_letters", ()) not in found
