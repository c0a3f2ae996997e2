"""Pure: `genai-prices` as dated price rows, and which of its models a call is priced as.

`genai_prices` itself answers what a model costs at an instant and in a request context; this
module asks it at every instant where the answer can change, so its precedence rules are not
written down a second time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final, Generic, NamedTuple, TypeVar

import genai_prices
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

SOURCE: Final = "genai-prices"
FIRST_INSTANT: Final = datetime(1970, 1, 1, tzinfo=UTC)

# OpenTelemetry's gen_ai.provider.name -> the catalog's provider. A name that is not here stands
# for the catalog provider of the same name. Hugging Face routes to many providers at different
# prices and does not say which: it stays unknown.
CATALOG_PROVIDERS: Final = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
}

# The service tier of a call -> the context in which the catalog prices it.
SERVICE_TIER_CONTEXTS: Final = {
    "batch": {"processing": "batch"},
    "fast": {"service_tier": "fast", "speed": "fast"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}

# The catalog's price key -> our token kind, and how many units the catalog's price buys. What it
# prices by seconds of audio, pages, characters and text messages has no count in an event: models
# with no other price stay unpriced with the reason `no_price`.
TOKEN_KINDS: Final = {
    "input_mtok": ("input", 1_000_000),
    "cache_read_mtok": ("cache_read", 1_000_000),
    "cache_write_mtok": ("cache_write", 1_000_000),
    "cache_write_1h_mtok": ("cache_write_1h", 1_000_000),
    "input_audio_mtok": ("input_audio", 1_000_000),
    "cache_audio_read_mtok": ("cache_read_audio", 1_000_000),
    "input_image_mtok": ("input_image", 1_000_000),
    "cache_image_read_mtok": ("cache_read_image", 1_000_000),
    "input_video_mtok": ("input_video", 1_000_000),
    "cache_video_read_mtok": ("cache_read_video", 1_000_000),
    "output_mtok": ("output", 1_000_000),
    "output_audio_mtok": ("output_audio", 1_000_000),
    "output_image_mtok": ("output_image", 1_000_000),
    "output_video_mtok": ("output_video", 1_000_000),
    "output_reasoning_mtok": ("output_reasoning", 1_000_000),
    "output_citation_mtok": ("output_citation", 1_000_000),
    "requests_kcount": ("request", 1_000),
    "web_searches_kcount": ("web_search", 1_000),
    "storage_searches_kcount": ("storage_search", 1_000),
}


class Observed(NamedTuple):
    """What a call says about its model."""

    provider_name: str
    request_model: str | None
    response_model: str | None


@dataclass(frozen=True)
class PriceRow:
    """What one million tokens of a kind cost, and when.

    `tier_start_tokens`: the price holds above this many input tokens. Times of day are UTC,
    half-open; no end = the end of the day.
    """

    catalog_provider: str
    catalog_model: str
    token_kind: str
    service_tier: str
    tier_start_tokens: int
    daily_start_time: time
    daily_end_time: time | None
    usd_per_million: Decimal
    valid_from: datetime
    valid_to: datetime | None


@dataclass(frozen=True)
class Match:
    """What an observed combination is priced as, or the reason why it cannot be."""

    observed: Observed
    catalog_provider: str | None = None
    catalog_model: str | None = None
    unmatched_reason: str | None = None
    prices: tuple[PriceRow, ...] = ()


@dataclass(frozen=True)
class Catalog:
    """The providers of one catalog version."""

    version: str
    providers: list[Provider]

    def provider(self, provider_name: str) -> Provider | None:
        """The catalog's provider behind an OpenTelemetry provider name."""
        provider_id = CATALOG_PROVIDERS.get(provider_name, provider_name)
        return next((p for p in self.providers if p.id == provider_id), None)


Moment = TypeVar("Moment")
Value = TypeVar("Value")
KindPrice = tuple[str, int, Decimal]  # token kind, tier start in input tokens, USD per million


class _Span(NamedTuple, Generic[Moment, Value]):
    """A half-open span of days or of the day in which `value` holds; no end = for ever."""

    start: Moment
    end: Moment | None
    value: Value


def bundled_catalog() -> Catalog:
    """The catalog that the installed `genai-prices` carries."""
    return Catalog(genai_prices.__version__, get_snapshot().providers)


def resolve(catalog: Catalog, observed: Observed) -> Match:
    """Price by the response model; by the request model where the catalog lacks the former."""
    provider = catalog.provider(observed.provider_name)
    if provider is None:
        return Match(observed, unmatched_reason="unknown_provider")
    names = [name for name in (observed.response_model, observed.request_model) if name]
    found = (provider.find_model(name, all_providers=catalog.providers) for name in names)
    model = next((model for model in found if model is not None), None)
    if model is None:
        return Match(observed, provider.id, None, "unknown_model")
    rows = tuple(price_rows(catalog, provider, model))
    reason = None if rows else "no_price"
    return Match(observed, provider.id, _model_name(catalog, provider, model), reason, rows)


def price_rows(catalog: Catalog, provider: Provider, model: ModelInfo) -> Iterator[PriceRow]:
    """Every price of a model, as sold by `provider`."""
    name = _model_name(catalog, provider, model)
    contexts = _contexts(model) if _is_own(provider, model) else {"default": {}}
    for service_tier, context in contexts.items():
        for days in _dated_prices(model, context):
            for hours in days.value:
                for kind, tier_start_tokens, usd_per_million in hours.value:
                    yield PriceRow(
                        provider.id,
                        name,
                        kind,
                        service_tier,
                        tier_start_tokens,
                        hours.start,
                        hours.end,
                        usd_per_million,
                        days.start,
                        days.end,
                    )


def _is_own(provider: Provider, model: ModelInfo) -> bool:
    return any(model is own for own in provider.models)


def _model_name(catalog: Catalog, provider: Provider, model: ModelInfo) -> str:
    """The model's id, behind its owner's where `provider` resells it at the owner's price."""
    if _is_own(provider, model):
        return model.id
    owner = next(p for p in catalog.providers if _is_own(p, model))
    return f"{owner.id}/{model.id}"


def _contexts(model: ModelInfo) -> dict[str, dict[str, str]]:
    """The service tiers that have prices of their own, and the default."""
    variants = model.price_variants or []
    tiers = {
        tier: context
        for tier, context in SERVICE_TIER_CONTEXTS.items()
        if any(variant.when.items() <= context.items() for variant in variants)
    }
    return {"default": {}, **tiers}


def _dated_prices(
    model: ModelInfo, context: dict[str, str]
) -> list[_Span[datetime, tuple[_Span[time, tuple[KindPrice, ...]], ...]]]:
    """The prices of each span of days, split by time of day where they differ."""
    constraints = [condition.constraint for condition in _conditions(model)]
    days = {c.start_date for c in constraints if isinstance(c, StartDateConstraint)}
    times = {t for c in constraints for t in _daily_times(c)} | {time.min}
    starts = [FIRST_INSTANT, *(_midnight(day) for day in sorted(days))]
    return _merged(
        _Span(start, end, tuple(_daily_prices(model, context, start.date(), sorted(times))))
        for start, end in zip(starts, [*starts[1:], None], strict=True)
    )


def _daily_prices(
    model: ModelInfo, context: dict[str, str], day: date, times: list[time]
) -> list[_Span[time, tuple[KindPrice, ...]]]:
    return _merged(
        _Span(start, end, _kind_prices(model.get_prices(_instant(day, start), context or None)))
        for start, end in zip(times, [*times[1:], None], strict=True)
    )


def _merged(
    spans: Iterable[_Span[Moment, Value]],
) -> list[_Span[Moment, Value]]:
    """Neighbouring spans of equal value as one."""
    merged: list[_Span[Moment, Value]] = []
    for span in spans:
        if merged and merged[-1].value == span.value:
            span = _Span(merged.pop().start, span.end, span.value)  # noqa: PLW2901 - widened
        merged.append(span)
    return merged


def _kind_prices(prices: ModelPrice) -> tuple[KindPrice, ...]:
    return tuple(
        (TOKEN_KINDS[price_key][0], start, usd * (1_000_000 // TOKEN_KINDS[price_key][1]))
        for price_key, price in sorted(vars(prices).items())
        if price is not None and price_key in TOKEN_KINDS
        for start, usd in _tiers(price)
    )


def _tiers(price: Decimal | TieredPrices) -> list[tuple[int, Decimal]]:
    if isinstance(price, TieredPrices):
        return [(0, price.base), *((tier.start, tier.price) for tier in price.tiers)]
    return [(0, price)]


def _conditions(model: ModelInfo) -> Iterable[ConditionalPrice | PriceVariant]:
    prices = [] if isinstance(model.prices, ModelPrice) else model.prices
    return [*prices, *(model.price_variants or [])]


def _daily_times(
    constraint: StartDateConstraint | TimeOfDateConstraint | None,
) -> list[time]:
    if not isinstance(constraint, TimeOfDateConstraint):
        return []
    return [_utc(constraint.start_time), _utc(constraint.end_time)]


def _utc(moment: time) -> time:
    """The UTC time of day; a time without a zone is UTC already, as in `genai-prices`."""
    offset = moment.utcoffset() or timedelta(0)
    naive = moment.replace(tzinfo=None)
    return (datetime.combine(date(1970, 1, 2), naive) - offset).time()


def _midnight(day: date) -> datetime:
    return _instant(day, time.min)


def _instant(day: date, moment: time) -> datetime:
    return datetime.combine(day, moment, tzinfo=UTC)
