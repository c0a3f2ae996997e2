"""Prometheus metrics of one API process, and of all of them where there are several.

With several processes each keeps its counts in a file below `PROMETHEUS_MULTIPROC_DIR`, which
`__main__` sets, and whichever process is scraped adds them up. What lies in Redis and Postgres is
the same for all: it is read at the scrape.
"""

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client import Gauge as PrometheusGauge
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import Scope

from ingest_api.errors import QuotaExceededError, RateLimitedError

MULTIPROCESS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
# An answer takes 1 to 10 ms; a write that Redis does not answer is given up after 5 s.
DURATION_BUCKETS_SECONDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
)  # fmt: skip
METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
LIMIT_OF: Final = {RateLimitedError.type: "rate", QuotaExceededError.type: "quota"}
UNMATCHED: Final = "unmatched"


@dataclass(frozen=True)
class Gauge:
    """A figure that is read at the scrape."""

    name: str
    description: str
    value: float


class _Histogram(Histogram):
    """A histogram that takes many observations at the price of one."""

    def observe_all(self, amounts: Sequence[float]) -> None:
        """Observe each of `amounts`; those of one bucket are one change of its count."""
        self._sum.inc(sum(amounts))
        ordered, below = sorted(amounts), 0
        for bucket, bound in zip(self._buckets, self._upper_bounds, strict=True):
            if below == len(ordered):
                break
            seen, below = below, bisect_right(ordered, bound, below)
            if below > seen:
                bucket.inc(below - seen)


class Metrics:
    """Counts of this process. No label takes more values than the code has words for."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._durations = _Histogram(
            "llmscope_http_request_duration_seconds",
            "Time from the request's headers to the last byte of its answer.",
            ["method", "route", "status"],
            buckets=DURATION_BUCKETS_SECONDS,
            registry=self._registry,
        )
        self._accepted = self._counter(
            "llmscope_events_accepted_total", "Events acknowledged with 202."
        )
        self._rejected = self._counter(
            "llmscope_events_rejected_total",
            "Events refused: one by one as rejected-events, or with their request.",
            "reason",
        )
        self._limited = self._counter(
            "llmscope_rate_limited_total", "Requests refused by a limit.", "limit"
        )
        self._redis_errors = self._counter(
            "llmscope_redis_errors_total", "Commands that Redis refused or did not answer."
        )
        self._live_clients = PrometheusGauge(
            "llmscope_live_clients",
            "Clients that listen to the live feed.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self._live_delivered = self._counter(
            "llmscope_live_events_delivered_total", "Events sent to clients of the live feed."
        )
        self._live_dropped = self._counter(
            "llmscope_live_events_dropped_total", "Events that a client was too slow for."
        )
        # `labels` costs 2 us, a dictionary 0.1 us.
        self._duration_of: dict[tuple[str, str, int], _Histogram] = {}

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(name, description, labels, registry=self._registry)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note a request and the status of its answer."""
        self._durations_of(method, route, status).observe(seconds)

    def observe_requests(
        self, method: str, route: str, status: int, durations: Sequence[float]
    ) -> None:
        """Note requests that were answered together, each with the seconds that it took."""
        self._durations_of(method, route, status).observe_all(durations)

    def _durations_of(self, method: str, route: str, status: int) -> "_Histogram":
        labels = (method, route, status)
        child = self._duration_of.get(labels)
        if child is None:
            method = labels[0] if labels[0] in METHODS else "other"
            child = self._durations.labels(method, labels[1], str(status))
            if method == labels[0]:
                self._duration_of[labels] = child
        return child

    def count_accepted(self, event_count: int) -> None:
        """Note acknowledged events."""
        self._accepted.inc(event_count)

    def count_rejected(self, reason: str, event_count: int) -> None:
        """Note events refused in one request; `reason` is the type of a problem."""
        self._rejected.labels(reason).inc(event_count)
        if limit := LIMIT_OF.get(reason):
            self._limited.labels(limit).inc()

    def count_redis_error(self) -> None:
        """Note a command that Redis refused or did not answer."""
        self._redis_errors.inc()

    def count_live_clients(self, change: int) -> None:
        """Note that a client of the live feed came (1) or went (-1)."""
        self._live_clients.inc(change)

    def count_live_delivered(self, event_count: int) -> None:
        """Note events sent to one client of the live feed."""
        self._live_delivered.inc(event_count)

    def count_live_dropped(self, event_count: int) -> None:
        """Note events that a client of the live feed was too slow for."""
        self._live_dropped.inc(event_count)

    def exposition(self, gauges: Iterable[Gauge]) -> bytes:
        """All metrics in Prometheus' text format."""
        registry = CollectorRegistry()
        if MULTIPROCESS_FOLDER in os.environ:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry.register(self._registry)
        registry.register(_Gauges(tuple(gauges)))
        return generate_latest(registry)


class _Gauges(Collector):
    def __init__(self, gauges: tuple[Gauge, ...]) -> None:
        self.gauges = gauges

    def collect(self) -> Iterator[Metric]:
        for gauge in self.gauges:
            yield GaugeMetricFamily(gauge.name, gauge.description, value=gauge.value)


def route_of(scope: Scope) -> str:
    """The template of the route that answered; paths that lead nowhere share one word."""
    path: str = getattr(scope.get("route"), "path", UNMATCHED)
    return path
