"""The calls to price: recorded answers, and made ones for features that none of them has."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot

from dbt_project.golden.ledger import event
from dbt_project.golden.real_usage import USAGE_KEYS, catalog_cost, read_counts, read_rows
from ingest_api.usage_bodies import read_usage
from orchestration.pricing.catalog import SERVICE_TIER_CONTEXTS

# The first that fits is a call's feature: what makes it harder to price than tokens in and out.
FEATURES: Final = (
    ("web search", "web_searches"),
    ("cache write", "cache_write_tokens"),
    ("cached input", "cache_read_tokens"),
    ("audio", "input_audio_tokens"),
    ("image out", "output_image_tokens"),
    ("image or document in", "input_image_tokens"),
    ("reasoning", "output_reasoning_tokens"),
)
PLAIN: Final = "tokens in and out"
# (feature, provider, model, counts, service tier)
MADE: Final[tuple[tuple[str, str, str, dict[str, int], str], ...]] = (
    ("cache write, 1 hour", "anthropic", "claude-sonnet-4-5",
     {"input_tokens": 9000, "output_tokens": 300, "cache_write_tokens": 8000,
      "cache_write_1h_tokens": 8000}, "default"),
    ("cache write, 1 hour", "anthropic", "claude-opus-4-5",
     {"input_tokens": 9000, "output_tokens": 300, "cache_read_tokens": 1000,
      "cache_write_tokens": 7000, "cache_write_1h_tokens": 2000}, "default"),
    ("long input tier", "google", "gemini-2.5-pro",
     {"input_tokens": 250_000, "output_tokens": 1000}, "default"),
    ("long input tier", "google", "gemini-2.5-pro",
     {"input_tokens": 250_000, "output_tokens": 1000, "cache_read_tokens": 100_000}, "default"),
    ("batch", "openai", "gpt-4o", {"input_tokens": 2000, "output_tokens": 500}, "batch"),
    ("batch", "anthropic", "claude-sonnet-4-5",
     {"input_tokens": 2000, "output_tokens": 500}, "batch"),
    ("service tier", "openai", "gpt-5", {"input_tokens": 2000, "output_tokens": 500}, "flex"),
    ("service tier", "openai", "gpt-5", {"input_tokens": 2000, "output_tokens": 500}, "priority"),
)  # fmt: skip
NO_COUNTS: Final[Mapping[str, Any]] = MappingProxyType({})


class Call(NamedTuple):
    """A call, what the catalog says it costs, and the event that tells the ledger of it."""

    feature: str
    provider: str
    model: str
    counts: dict[str, int]
    service_tier: str
    expected: Decimal
    event: dict[str, Any]

    @property
    def call_id(self) -> str:
        """Of its event."""
        return str(self.event["event_id"])


def recorded_calls(corpus: Path, started_at: datetime) -> list[Call]:
    """The answers of the corpus that the catalog has a price for."""
    calls = []
    for row in read_rows(corpus):
        expected = catalog_cost(get_snapshot(), row, started_at)
        read = read_usage(row["body"])
        if expected is None or read is None:
            continue
        counts = {theirs: n for theirs, ours in USAGE_KEYS.items() if (n := read_counts(row)[ours])}
        usage = {**(row["expected_usage"] or NO_COUNTS), **counts}
        sent = {name: getattr(read, name) for name in USAGE_KEYS.values()}
        calls.append(
            Call(
                _feature(usage), row["provider"], row["model"], counts, "default", expected,
                event(
                    event_id=row["event_id"], provider_name=row["provider"],
                    request_model=row["model"], started_at=started_at, **sent,
                    usage_details=read.usage_details,
                ),
            )
        )  # fmt: skip
    return calls


def made_calls(started_at: datetime) -> list[Call]:
    """Calls with features that no recorded answer has."""
    calls = []
    for feature, provider, model, counts, tier in MADE:
        context = SERVICE_TIER_CONTEXTS.get(tier)
        priced = get_snapshot().calc(
            Usage(**counts), model, provider, None, started_at, price_context=context
        )
        fields: dict[str, Any] = {USAGE_KEYS[key]: count for key, count in counts.items()}
        sent = event(
            event_id=uuid.uuid4(), provider_name=provider, request_model=model,
            started_at=started_at, service_tier=tier, **fields,
        )  # fmt: skip
        calls.append(Call(feature, provider, model, counts, tier, priced.total_price, sent))
    return calls


def _feature(usage: Mapping[str, Any]) -> str:
    return next((name for name, key in FEATURES if usage.get(key)), PLAIN)
