"""Pure: which tables a question is read from.

All usage tables hold the same facts and differ in their grain. Of those that know all dimensions
of a question, whole days are read from the daily one, the hours at their edges from the hourly
one, the quarters of an hour at theirs, where days of other zones begin, from one of those, and the
minutes from the minutely one, or from the calls: each instant once.
"""

from collections.abc import Iterable, Sequence, Set
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from ingest_api.analytics.dimensions import Dimension

Grain = Literal["day", "hour", "quarter_hour", "minute"]
Range = tuple[datetime, datetime]

GRAINS: Final[dict[Grain, timedelta]] = {
    "day": timedelta(days=1), "hour": timedelta(hours=1), "quarter_hour": timedelta(minutes=15),
    "minute": timedelta(minutes=1),
}  # fmt: skip

MODEL: Final = frozenset({"provider_name", "model"})
SHARED: Final = MODEL | {"operation_name", "environment", "service_name"}
ATTRIBUTED: Final = SHARED | {"user_id"}


class Source(NamedTuple):
    """A table.

    Attributes:
        grain: Each row lies within one such UTC period.
        columns: The dimensions that it has; all of the declared tags where `has_tags`.
        is_calls: One row per call, of any tag.
    """

    table: str
    time_column: str
    grain: Grain
    columns: frozenset[str]
    has_tags: bool = False
    is_calls: bool = False

    def knows(self, dimension: Dimension, declared_tags: Set[str]) -> bool:
        """Whether rows can be told apart by `dimension`."""
        if self.is_calls:
            return True
        if dimension.tag_key is not None:
            return self.has_tags and dimension.tag_key in declared_tags
        return dimension.name in self.columns


CALLS: Final = Source("fct_llm_calls", "started_at", "minute", frozenset(), is_calls=True)
# The fewest rows first.
USAGE: Final = (
    Source("fct_model_usage_daily", "usage_date", "day", MODEL),
    Source("fct_model_usage_hourly", "usage_hour", "hour", MODEL),
    Source("fct_model_usage_quarter_hourly", "usage_quarter_hour", "quarter_hour", MODEL),
    Source("fct_user_usage_daily", "usage_date", "day", frozenset({"user_id"})),
    Source("fct_tag_usage_daily", "usage_date", "day", frozenset(), has_tags=True),
    Source("fct_usage_daily", "usage_date", "day", SHARED | {"error_type"}),
    Source("fct_usage_hourly", "usage_hour", "hour", SHARED | {"error_type"}),
    Source("fct_usage_minutely", "usage_minute", "minute", SHARED | {"error_type"}),
    Source("fct_attributed_usage_daily", "usage_date", "day", ATTRIBUTED, has_tags=True),
    Source("fct_attributed_usage_hourly", "usage_hour", "hour", ATTRIBUTED, has_tags=True),
    CALLS,
)
LATENCY: Final = (
    Source("fct_project_latency_daily", "usage_date", "day", frozenset()),
    Source("fct_project_latency_hourly", "usage_hour", "hour", frozenset()),
    Source("fct_latency_daily", "usage_date", "day", SHARED),
    Source("fct_latency_hourly", "usage_hour", "hour", SHARED),
    Source("fct_latency_minutely", "usage_minute", "minute", SHARED),
    CALLS,
)
COSTS: Final = Source("fct_cost_by_price_hourly", "usage_hour", "hour", MODEL)
# All marts that answers are made of.
TABLES: Final = (
    *dict.fromkeys(one.table for one in (*USAGE, *LATENCY, COSTS)), "fct_conversations",
)  # fmt: skip


class Scan(NamedTuple):
    """Ranges of one table, in UTC, ascending; they do not touch."""

    source: Source
    ranges: tuple[Range, ...]


def choose(
    tables: Sequence[Source], dimensions: Iterable[Dimension], declared_tags: Set[str]
) -> list[Source]:
    """Of each grain the smallest table that knows all dimensions, the coarsest grain first."""
    wanted = list(dimensions)
    fit = [one for one in tables if all(one.knows(dim, declared_tags) for dim in wanted)]
    chosen = {one.grain: one for one in reversed(fit)}
    return [chosen[grain] for grain in GRAINS if grain in chosen]


def cover(
    boundaries: Sequence[datetime], sources: Sequence[Source], *, is_newest: bool = False
) -> list[Scan]:
    """What to read so that each bucket is made of whole rows, the coarsest that fit.

    Args:
        boundaries: Where buckets begin, and last where the last one ends; whole minutes.
        sources: As `choose` gives them.
        is_newest: No call started after the last bucket: the row of the day, or hour, in which it
            ends holds nothing that is not in it, and stands for many rows of minutes.
    """
    found: dict[Source, list[Range]] = {one: [] for one in sources}
    edges = list(boundaries)
    if is_newest and sources:
        edges[-1] = EPOCH + _ceiling(edges[-1], GRAINS[sources[0].grain])
    for start, end in pairwise(edges):
        _cover_bucket(start, end, sources, found)
    return [Scan(one, tuple(_joined(ranges))) for one, ranges in found.items() if ranges]


def _cover_bucket(
    start: datetime, end: datetime, sources: Sequence[Source], found: dict[Source, list[Range]]
) -> None:
    if start >= end or not sources:
        return
    coarsest, *finer = sources
    grain = GRAINS[coarsest.grain]
    first, last = _ceiling(start, grain), _since_epoch(end) // grain * grain
    if first >= last:
        _cover_bucket(start, end, finer, found)
        return
    inner = (EPOCH + first, EPOCH + last)
    _cover_bucket(start, inner[0], finer, found)
    found[coarsest].append(inner)
    _cover_bucket(inner[1], end, finer, found)


EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _since_epoch(instant: datetime) -> timedelta:
    return instant - EPOCH


def _ceiling(instant: datetime, grain: timedelta) -> timedelta:
    return -(-_since_epoch(instant) // grain) * grain


def _joined(ranges: Iterable[Range]) -> list[Range]:
    """The same instants in as few ranges as there can be."""
    joined: list[Range] = []
    for start, end in ranges:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
