"""Pure: what a rule may watch."""

from typing import Final, Literal, NamedTuple

from ingest_api.analytics.measures import QUANTILES

Family = Literal["usage", "duration", "time_to_first_chunk", "dead_letters", "lag", "budget",
                 "anomaly"]  # fmt: skip
Unit = Literal["usd", "count", "ratio", "seconds", "score"]


class Metric(NamedTuple):
    """A figure that a rule compares with its threshold.

    Attributes:
        family: Metrics of a family are read together.
        is_count: Whether nothing counted is 0. Money, shares and times of nothing are unknown.
    """

    name: str
    family: Family
    unit: Unit
    words: str
    is_count: bool = False


TIMES: Final[tuple[tuple[Family, str, str], ...]] = (
    ("duration", "latency", "duration of calls"),
    ("time_to_first_chunk", "time_to_first_chunk", "time to the first chunk"),
)
ALL: Final = (
    Metric("cost", "usage", "usd", "cost of priced calls, USD"),
    Metric("calls", "usage", "count", "calls", is_count=True),
    Metric("tokens", "usage", "count", "input and output tokens", is_count=True),
    Metric("input_tokens", "usage", "count", "input tokens", is_count=True),
    Metric("output_tokens", "usage", "count", "output tokens", is_count=True),
    Metric("error_rate", "usage", "ratio", "share of calls that failed"),
    Metric("unpriced_share", "usage", "ratio", "share of calls without a cost"),
    Metric("missing_usage_share", "usage", "ratio", "share of calls without token counts"),
    *(
        Metric(f"{name}_{quantile}", family, "seconds", f"{words}, {quantile}, seconds")
        for family, name, words in TIMES
        for quantile in QUANTILES
    ),
    Metric("dead_letters", "dead_letters", "count", "events that could not be loaded", True),
    Metric("stream_lag_seconds", "lag", "seconds", "age of the oldest event not yet loaded"),
    Metric("budget_use", "budget", "ratio", "share of the month's budget that is spent"),
    Metric("burn_rate", "budget", "ratio", "spending per day against an even month"),
    Metric("budget_forecast", "budget", "ratio", "the month's projected cost against its budget"),
    Metric("anomaly", "anomaly", "count", "hours with an anomaly of any kind", True),
    Metric("anomaly_cost", "anomaly", "count", "hours of unusual cost", True),
    Metric("anomaly_calls", "anomaly", "count", "hours of an unusual number of calls", True),
    Metric("anomaly_latency", "anomaly", "count", "hours of unusual latency", True),
    Metric("anomaly_error_rate", "anomaly", "count", "hours of an unusual error rate", True),
    Metric("anomaly_score", "anomaly", "score", "highest score of an anomaly"),
)  # fmt: skip
METRICS: Final = {one.name: one for one in ALL}
# What tells calls apart for a family; a tag besides where usage or times are read.
USAGE_DIMENSIONS: Final = ("provider_name", "model", "user_id", "environment", "service_name")
DIMENSIONS: Final[dict[Family, tuple[str, ...]]] = {
    "usage": USAGE_DIMENSIONS,
    "duration": USAGE_DIMENSIONS,
    "time_to_first_chunk": USAGE_DIMENSIONS,
    "dead_letters": (),
    "lag": (),
    "budget": (),
    "anomaly": ("provider_name", "model"),
}
TAGGED: Final[tuple[Family, ...]] = ("usage", "duration", "time_to_first_chunk")
