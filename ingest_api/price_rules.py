"""Pure: what a call costs by the price rows and rules of the marts, which dbt renders as data.

The models state how a call is cut into buckets and which price a bucket takes;
`intermediate.int_price_rules` has it as JSON, and this module only adds and multiplies. That both
come to the same cost for real responses is tested in `dbt_project/golden`.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

from ingest_api.events import Event, json_text

PER_MILLION: Final = Decimal("0.000001")
DEFAULT_TIER: Final = "default"
# The kinds without which a model counts as unpriced, and what may be cached.
MAIN_KINDS: Final = ("input", "output", "hour")
MODALITIES: Final = ("audio", "image", "video")
BY_THE_HOUR: Final = "hour"
SECONDS_PER_HOUR: Final = 3600
_TOKEN_FIELDS: Final = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens",
    "cache_write_1h_input_tokens", "reasoning_output_tokens", "input_audio_tokens",
    "output_audio_tokens", "input_image_tokens",
)  # fmt: skip
# The steps that the paths of `macros/usage_details.sql` are made of.
_STEP: Final = re.compile(r'\.(\w+)|(\[\*\])|\s*\?\s*\(@\.(\w+) == "([^"]*)"\)')

Counts = dict[str, int | Decimal]


class Estimate(NamedTuple):
    """What a call costs in USD, or why that cannot be said."""

    cost_usd: Decimal | None
    unpriced_reason: str | None


class Price(NamedTuple):
    """A price row's id and its USD per million."""

    price_id: str
    usd_per_million: Decimal


class Bucket(msgspec.Struct, frozen=True):
    """A disjoint part of a call's tokens.

    Attributes:
        price_kinds: The kinds whose price it takes: the first that the model has.
        count_terms: What its count is the sum of: counts, and what each is multiplied by.
        is_surcharge: Whether it costs nothing where the model has no price for it.
    """

    bucket: str
    price_kinds: list[str]
    count_terms: dict[str, int]
    is_surcharge: bool


class Step(NamedTuple):
    """A key, all elements (`*`), or those whose `key` has `value`."""

    key: str
    value: str | None = None


class RulesError(ValueError):
    """The rules have a form that this release does not know."""


@dataclass(frozen=True)
class Rules:
    """How calls are cut into buckets.

    Attributes:
        usage_details_paths: Counts that only the provider's usage object has, and where.
        operations_around_calls: Operations of agents and tools, which are no call.
    """

    buckets: tuple[Bucket, ...]
    usage_details_paths: Mapping[str, Sequence[tuple[Step, ...]]]
    operations_around_calls: frozenset[str]

    @classmethod
    def read(cls, buckets: str, paths: str, operations: str) -> "Rules":
        """From the JSON of `int_price_rules`.

        Raises:
            RulesError: it has another form.
        """
        try:
            return cls(
                msgspec.json.decode(buckets, type=tuple[Bucket, ...]),
                {
                    name: [_steps(path) for path in found]
                    for name, found in msgspec.json.decode(paths, type=dict[str, list[str]]).items()
                },
                msgspec.json.decode(operations, type=frozenset[str]),
            )
        except msgspec.MsgspecError as error:
            raise RulesError(str(error)) from None


@dataclass(frozen=True)
class PriceRow:
    """The prices of one revision, service tier, token tier and period."""

    valid_from: datetime
    valid_to: datetime
    daily_start_time: str
    daily_end_time: str
    tier_start_tokens: int
    tier_end_tokens: int | None
    prices: Mapping[str, Price]

    def holds_for(self, started_at: datetime, input_tokens: int | Decimal) -> bool:
        """Whether these are the prices of a call at that time (UTC) with so much input."""
        time_of_day = started_at.strftime("%H:%M:%S.%f")
        return (
            self.valid_from <= started_at < self.valid_to
            and self.daily_start_time <= time_of_day < self.daily_end_time
            and (self.tier_start_tokens == 0 or input_tokens > self.tier_start_tokens)
            and (self.tier_end_tokens is None or input_tokens <= self.tier_end_tokens)
        )


def read_price_row(text: str) -> tuple[tuple[str, str], PriceRow]:
    """A row of `int_model_prices` as JSON -> its revision and service tier, and its prices."""
    row = json.loads(text, parse_float=Decimal)
    ending = "_price_id"
    kinds = [name.removesuffix(ending) for name in row if name.endswith(ending) and row[name]]
    return (row["revision_id"], row["service_tier"]), PriceRow(
        valid_from=instant(row["valid_from"]),
        valid_to=instant(row["valid_to"]),
        daily_start_time=row["daily_start_time"],
        daily_end_time=row["daily_end_time"],
        tier_start_tokens=row["tier_start_tokens"],
        tier_end_tokens=row["tier_end_tokens"],
        prices={
            kind: Price(row[kind + ending], Decimal(row[f"{kind}_usd_per_million"]))
            for kind in kinds
        },
    )


def counts_of(event: Event, rules: Rules) -> Counts:
    """What a call used, by the columns of `stg_ingest__llm_calls`; unknown counts are left out."""
    sent = {name: getattr(event, name) for name in _TOKEN_FIELDS}
    counts: Counts = {name: count for name, count in sent.items() if count is not None}
    if event.usage_semantics == "cache_exclusive":
        counts["input_tokens"] = sum(
            counts.get(name, 0)
            for name in ("input_tokens", "cache_read_input_tokens", "cache_write_input_tokens")
        )
    details = json_text(event.usage_details)
    if details is not None:
        counts |= _detail_counts(msgspec.json.decode(details), rules)
    seconds = _seconds(event)
    if seconds is not None:
        counts["hours"] = seconds / SECONDS_PER_HOUR
    counts["calls"] = 1
    return counts


def cost_of(event: Event, counts: Counts, row: PriceRow | None, rules: Rules) -> Estimate:
    """What a call with these counts costs at the prices of `row`; None where none holds."""
    parts = _parts(counts, row, rules)
    reason = _unpriced_reason(event, counts, row, parts)
    if reason is not None:
        return Estimate(None, reason)
    costs = [part.count * part.price.usd_per_million * PER_MILLION for part in parts if part.price]
    return Estimate(sum(costs, Decimal(0)), None)


def missing_usage(event: Event) -> str | None:
    """Why a call that costs by its tokens has no cost, where it has none of them."""
    if event.input_tokens is not None or event.output_tokens is not None:
        return None
    return "no_usage" if event.error_type else "missing_usage"


@dataclass(frozen=True, slots=True)
class Part:
    """A bucket of one call."""

    bucket: Bucket
    count: int | Decimal
    price: Price | None


def _parts(counts: Counts, row: PriceRow | None, rules: Rules) -> list[Part]:
    prices = row.prices if row else {}
    return [
        Part(
            bucket,
            sum(counts.get(name, 0) * factor for name, factor in bucket.count_terms.items()),
            next((prices[kind] for kind in bucket.price_kinds if kind in prices), None),
        )
        for bucket in rules.buckets
    ]


def _unpriced_reason(
    event: Event, counts: Counts, row: PriceRow | None, parts: Sequence[Part]
) -> str | None:
    """As the macro `unpriced_reason`."""
    by_the_hour = row is not None and BY_THE_HOUR in row.prices
    if by_the_hour and "hours" not in counts:
        return "missing_duration"
    if not by_the_hour and (reason := missing_usage(event)):
        return reason
    if row is None or row.prices.keys().isdisjoint(MAIN_KINDS):
        return "no_price"
    if _has_negative_count(parts):
        return "invalid_usage"
    if _has_unknown_modality(counts, row):
        return "ambiguous_usage"
    is_missing = any(p.count and p.price is None and not p.bucket.is_surcharge for p in parts)
    return "no_price" if is_missing and not by_the_hour else None


def _has_negative_count(parts: Sequence[Part]) -> bool:
    """As `any_price_has_negative_count`: buckets that share a price are counted together."""
    for root in parts:
        if root.bucket.is_surcharge or len(root.bucket.price_kinds) > 1:
            continue
        kind = root.bucket.price_kinds[0]
        below = [p for p in parts if p is not root and p.bucket.price_kinds[-1] == kind]
        shared = [p.count for p in below if p.price and p.price == root.price]
        apart = [p.count for p in below if p.price and root.price and p.price != root.price]
        if root.count + sum(shared) < 0 or any(count < 0 for count in apart):
            return True
    return False


def _has_unknown_modality(counts: Counts, row: PriceRow) -> bool:
    """As `any_cached_modality_is_unknown`."""
    return any(
        f"cache_read_{modality}" in row.prices
        and f"cache_read_{modality}_tokens" not in counts
        and counts.get("cache_read_input_tokens", 0) > 0
        and counts.get(f"input_{modality}_tokens", 0) > 0
        for modality in MODALITIES
    )


def instant(text: str) -> datetime:
    """A timestamptz of Postgres in JSON; its infinities are the ends of time."""
    if text == "infinity":
        return datetime.max.replace(tzinfo=UTC)
    if text == "-infinity":
        return datetime.min.replace(tzinfo=UTC)
    return datetime.fromisoformat(text)


def _seconds(event: Event) -> Decimal | None:
    if event.duration_seconds is not None:
        return Decimal(repr(event.duration_seconds))
    if event.ended_at is None:
        return None
    return Decimal(repr((event.ended_at - event.started_at).total_seconds()))


def _steps(path: str) -> tuple[Step, ...]:
    steps, end = [], 1
    while end < len(path):
        found = _STEP.match(path, end)
        if found is None or not path.startswith("$"):
            raise RulesError(f"unknown path: {path}")
        key, every, filtered, value = found.groups()
        steps.append(Step(key or ("*" if every else filtered), value))
        end = found.end()
    return tuple(steps)


def _detail_counts(details: Any, rules: Rules) -> Counts:
    counts: Counts = {}
    for name, paths in rules.usage_details_paths.items():
        found = (number for path in paths for number in _numbers([details], path))
        first = next(found, None)
        if first is not None:
            counts[name] = first
    return counts


def _numbers(found: Iterable[Any], path: Sequence[Step]) -> Iterable[int]:
    """Whole numbers at the end of a path."""
    for step in path:
        found = [inner for value in found for inner in _inside(value, step)]
    for value in found:
        if type(value) is int:
            yield value
        elif isinstance(value, str) and value.isascii() and value.isdigit():
            yield int(value)


def _inside(value: Any, step: Step) -> list[Any]:
    if step.value is not None:
        return [value] if isinstance(value, dict) and value.get(step.key) == step.value else []
    if step.key == "*":
        return value if isinstance(value, list) else [value]
    return [value[step.key]] if isinstance(value, dict) and step.key in value else []
