"""Pure: price books as CSV. What `prices list --format csv` writes, `prices import` reads."""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from ingest_api.prices.book import Price, PriceError, check_name, check_price
from ingest_api.prices.kinds import UNITS

COLUMNS: Final = (
    "project", "provider_name", "model", "token_kind", "usd", "unit", "service_tier",
    "tier_start_tokens", "valid_from", "valid_to",
)  # fmt: skip
REQUIRED: Final = ("provider_name", "model", "token_kind", "usd")
MAX_LINES: Final = 100_000


class Line(NamedTuple):
    """One price of a file. `project` is empty where the price holds for the whole tenant."""

    project: str
    provider_name: str
    model: str
    price: Price


class LineError(NamedTuple):
    """What is wrong with a file, and where; line 1 is the head."""

    line: int
    column: str
    reason: str


def read_lines(text: str, now: datetime) -> tuple[list[Line], list[LineError]]:
    """Every price of a file and every error in it; with an error, none of it should be taken.

    A price without `valid_from` holds from `now`, one without `project` for the whole tenant.
    """
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        if head := _head_errors(reader.fieldnames or ()):
            return [], head
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        return [], [LineError(reader.line_num + 1, "", f"is not CSV: {error}")]
    if len(rows) > MAX_LINES:
        return [], [LineError(MAX_LINES + 2, "", f"has more than {MAX_LINES:,} prices: split it")]
    lines, errors = [], []
    for number, row in rows:
        try:
            lines.append(_line(row, now))
        except PriceError as error:
            errors.append(LineError(number, error.field, error.reason))
    return lines, errors


def write_lines(lines: Iterable[Line]) -> str:
    """A file that `read_lines` gives back."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for project, provider_name, model, price in lines:
        until = "" if price.valid_to is None else price.valid_to.isoformat()
        usd, unit = f"{price.usd.normalize():f}", UNITS[price.token_kind][1]
        what = (price.service_tier, price.tier_start_tokens, price.valid_from.isoformat(), until)
        writer.writerow((project, provider_name, model, price.token_kind, usd, unit, *what))
    return file.getvalue()


def _head_errors(names: Iterable[str]) -> list[LineError]:
    given = list(names)
    unknown = [name for name in given if name not in COLUMNS]
    missing = [name for name in REQUIRED if name not in given]
    return [
        *(LineError(1, name, "is no column of prices: take it out") for name in unknown),
        *(LineError(1, name, "is missing: add the column") for name in missing),
    ]


def _line(row: Mapping[str, str | None], now: datetime) -> Line:
    if None in row or None in row.values():
        raise PriceError("", f"must have {len(row)} fields: quote a field that holds a comma")
    fields = {name: (value or "").strip() for name, value in row.items()}
    for name in ("provider_name", "model"):
        check_name(name, fields[name])
    price = Price(
        token_kind=fields["token_kind"],
        usd=_decimal("usd", fields["usd"]),
        valid_from=_time("valid_from", fields.get("valid_from")) or now.astimezone(UTC),
        valid_to=_time("valid_to", fields.get("valid_to")),
        service_tier=fields.get("service_tier") or "default",
        tier_start_tokens=_whole("tier_start_tokens", fields.get("tier_start_tokens") or "0"),
    )
    check_price(price)
    unit = UNITS[price.token_kind][1]
    if fields.get("unit") not in (None, "", unit):
        raise PriceError("unit", f"of {price.token_kind} is {unit}: leave it empty or write that")
    return Line(fields.get("project", ""), fields["provider_name"], fields["model"], price)


def _decimal(field: str, text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise PriceError(field, "must be a number of USD, such as 0.25") from None


def _whole(field: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 10:
        raise PriceError(field, "must be a whole number of tokens, such as 200000")
    return int(text)


def _time(field: str, text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise PriceError(field, "must be a time such as 2026-11-01T00:00:00Z") from None
