"""Pure: the prices of one model in one book, and how a change of them makes the next revision."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from ingest_api.prices.kinds import SERVICE_TIERS, UNITS

MAX_USD: Final = Decimal(1_000_000)
MAX_TIER_START_TOKENS: Final = 1_000_000_000
MAX_DECIMALS: Final = 12
MAX_NAME_CHARACTERS: Final = 256
FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2199


class PriceError(ValueError):
    """A price cannot be taken.

    Attributes:
        field: The guilty field, under its name in the API and in the CSV file.
        reason: What is wrong and how to mend it.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True)
class Price:
    """What one kind costs in one span of time.

    Attributes:
        usd: For as many as `kinds.UNITS` says: a million tokens, a thousand calls, one hour.
        tier_start_tokens: The price holds for calls with more input tokens than this.
        valid_to: Exclusive; None = for ever.
    """

    token_kind: str
    usd: Decimal
    valid_from: datetime
    valid_to: datetime | None = None
    service_tier: str = "default"
    tier_start_tokens: int = 0

    @property
    def slot(self) -> tuple[str, str, int]:
        """What only one price can be for at a time."""
        return (self.service_tier, self.token_kind, self.tier_start_tokens)

    @property
    def is_withdrawn(self) -> bool:
        """Whether it ends when it starts, and so never holds."""
        return self.valid_to == self.valid_from

    @property
    def usd_per_million(self) -> Decimal:
        """As the ledger stores it: USD for a million of the kind."""
        return self.usd * (1_000_000 // UNITS[self.token_kind][0])


def check_price(price: Price) -> None:
    """Raise `PriceError` for a price that means nothing."""
    if price.token_kind not in UNITS:
        raise PriceError("token_kind", f"must be one of {', '.join(UNITS)}")
    if price.service_tier not in SERVICE_TIERS:
        raise PriceError("service_tier", f"must be one of {', '.join(SERVICE_TIERS)}")
    if not (price.usd.is_finite() and 0 <= price.usd <= MAX_USD):
        raise PriceError("usd", f"must lie between 0 and {MAX_USD:,}")
    if round(price.usd, MAX_DECIMALS) != price.usd:
        raise PriceError("usd", f"may have {MAX_DECIMALS} decimal places: round it")
    if not 0 <= price.tier_start_tokens <= MAX_TIER_START_TOKENS:
        raise PriceError("tier_start_tokens", "must lie between 0 and 1,000,000,000")
    check_time("valid_from", price.valid_from)
    check_time("valid_to", price.valid_to or price.valid_from)
    if price.valid_to is not None and price.valid_to <= price.valid_from:
        raise PriceError("valid_to", "must lie after valid_from")


def check_time(field: str, time: datetime) -> None:
    """Raise `PriceError` for a time without an offset, or one that no call can have."""
    if time.tzinfo is None:
        raise PriceError(field, "needs an offset, as in 2026-11-01T00:00:00Z")
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise PriceError(field, f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}")


def check_name(field: str, name: str) -> None:
    """Raise `PriceError` for a provider or model that no call can have."""
    if not 0 < len(name.strip()) <= MAX_NAME_CHARACTERS or "\x00" in name:
        raise PriceError(field, f"must have 1 to {MAX_NAME_CHARACTERS} characters")
    if "*" in name and (field != "model" or name.index("*") != len(name) - 1 or name == "*"):
        raise PriceError(
            field, "may only end in one *: `llama-3*` means every model that begins with llama-3"
        )


def revised(current: Iterable[Price], changes: Iterable[Price]) -> list[Price]:
    """The next revision: in its span, a change takes the place of what was there for its slot.

    Raises:
        PriceError: a service tier would have a price where the default tier has none.
    """
    prices = [price for price in current if not price.is_withdrawn]
    for change in changes:
        check_price(change)
        prices = [part for price in prices for part in _without(price, change)] + [change]
    _check_default_tiers(prices)
    return _sorted(prices)


def ended(current: Iterable[Price], at: datetime) -> list[Price]:
    """The next revision: nothing holds from `at` on. What had not yet begun never will.

    Raises:
        PriceError: `at` is no time that can be told.
    """
    check_time("ends_at", at)
    clipped = [
        replace(price, valid_to=max(price.valid_from, at))
        if price.valid_to is None or price.valid_to > at
        else price
        for price in current
    ]
    # A revision has at least one row: one that never holds stands for none.
    return _sorted([p for p in clipped if not p.is_withdrawn] or clipped[:1])


def _without(price: Price, change: Price) -> list[Price]:
    """What is left of a price beside a change of its slot."""
    if price.slot != change.slot:
        return [price]
    left = []
    if price.valid_from < change.valid_from:
        end = change.valid_from
        is_over = price.valid_to is not None and price.valid_to < end
        left.append(price if is_over else replace(price, valid_to=end))
    if change.valid_to is not None and (price.valid_to is None or price.valid_to > change.valid_to):
        left.append(replace(price, valid_from=max(price.valid_from, change.valid_to)))
    return left


def _check_default_tiers(prices: list[Price]) -> None:
    """A call takes a book by its default prices, so that a tier alone would never be used."""
    defaults = [price for price in prices if price.service_tier == "default"]
    for price in prices:
        if not any(_covers(default, price) for default in defaults):
            raise PriceError(
                "service_tier",
                f"{price.service_tier} has a price from {price.valid_from:%Y-%m-%d} where "
                "`default` has none: give the default prices of that time too",
            )


def _covers(default: Price, price: Price) -> bool:
    ends_late = default.valid_to is None or (
        price.valid_to is not None and price.valid_to <= default.valid_to
    )
    return default.valid_from <= price.valid_from and ends_late


def _sorted(prices: Iterable[Price]) -> list[Price]:
    return sorted(prices, key=lambda price: (price.valid_from, price.slot))
