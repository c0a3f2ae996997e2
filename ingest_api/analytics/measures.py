"""Pure: what is counted. The names are those of the marts' columns."""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, get_args

from psycopg import sql

Family = Literal[
    "calls", "errors", "tokens", "token_buckets", "cost", "cost_buckets", "reported", "unpriced",
    "latency", "time_to_first_chunk",
]  # fmt: skip
Kind = Literal["text", "texts", "time", "count", "usd", "seconds", "flag"]
Metric = Literal["duration", "time_to_first_chunk"]

DEFAULT_FAMILIES: Final[tuple[Family, ...]] = ("calls", "errors", "tokens", "cost", "unpriced")
ALL_FAMILIES: Final[tuple[Family, ...]] = get_args(Family)
METRICS: Final[dict[Family, Metric]] = {
    "latency": "duration", "time_to_first_chunk": "time_to_first_chunk",
}  # fmt: skip
QUANTILES: Final = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}


class Column(NamedTuple):
    """A column of an answer; its kind decides how JSON, CSV and Parquet write it."""

    name: str
    kind: Kind


class Measure(NamedTuple):
    """A sum.

    Attributes:
        name: Its column in the roll-ups.
        of_call: The same for one row of `fct_llm_calls`.
    """

    name: str
    of_call: str

    @property
    def kind(self) -> Kind:
        """Money or a count."""
        return "usd" if self.name.endswith("_usd") else "count"

    @property
    def total(self) -> sql.Composable:
        """Nothing counted is zero; nothing priced is null, never zero."""
        column = sql.Identifier(self.name)
        if self.kind == "usd":
            return sql.SQL("trim_scale(sum({0})) as {0}").format(column)
        return sql.SQL("coalesce(sum({0}), 0)::bigint as {0}").format(column)


def _same(*names: str) -> tuple[Measure, ...]:
    return tuple(Measure(name, name) for name in names)


MEASURES: Final[dict[Family, tuple[Measure, ...]]] = {
    "calls": (Measure("call_count", "1"), Measure("stream_count", "is_stream::integer")),
    "errors": (Measure("error_count", "is_error::integer"),),
    "tokens": _same("input_tokens", "output_tokens"),
    "token_buckets": _same(
        "uncached_input_tokens", "cache_read_input_tokens", "cache_write_input_tokens",
        "cache_write_1h_input_tokens", "input_audio_tokens", "input_image_tokens",
        "reasoning_output_tokens", "output_audio_tokens",
    ),
    "cost": _same("total_cost_usd"),
    "cost_buckets": (
        *_same("uncached_input_cost_usd", "cache_read_cost_usd"),
        Measure("cache_write_cost_usd", "cache_write_5m_cost_usd + cache_write_1h_cost_usd"),
        *_same(
            "cache_write_5m_cost_usd", "cache_write_1h_cost_usd", "input_audio_cost_usd",
            "input_image_cost_usd", "output_cost_usd", "output_audio_cost_usd", "request_cost_usd",
        ),
    ),
    "reported": _same("reported_cost_usd", "cost_difference_usd"),
    "unpriced": (
        Measure(
            "unpriced_call_count",
            "(total_cost_usd is null and unpriced_reason <> 'no_usage')::integer",
        ),
        Measure("missing_usage_call_count", "(unpriced_reason = 'missing_usage')::integer"),
        Measure(
            "unpriced_input_tokens", "case when total_cost_usd is null then input_tokens else 0 end"
        ),
        Measure(
            "unpriced_output_tokens",
            "case when total_cost_usd is null then output_tokens else 0 end",
        ),
    ),
}  # fmt: skip
ALL_MEASURES: Final = tuple(one for family in MEASURES.values() for one in family)


def measures_of(families: Iterable[Family]) -> tuple[Measure, ...]:
    """The sums of some families. Calls are always counted: without them a gap shows as nothing."""
    wanted = dict.fromkeys(["calls", *families])
    return tuple(one for family in wanted for one in MEASURES.get(family, ()))


def metrics_of(families: Iterable[Family]) -> tuple[Metric, ...]:
    """The measured times of some families."""
    return tuple(METRICS[family] for family in dict.fromkeys(families) if family in METRICS)


def quantile_names(metric: Metric) -> list[str]:
    """The columns of a metric's percentiles."""
    return [f"{name}_{metric}_seconds" for name in QUANTILES]


def columns_of(families: Iterable[Family]) -> list[Column]:
    """The columns of an answer with these families."""
    wanted = list(families)
    sums = [Column(one.name, one.kind) for one in measures_of(wanted)]
    times = [name for metric in metrics_of(wanted) for name in quantile_names(metric)]
    return [*sums, *(Column(name, "seconds") for name in times)]
