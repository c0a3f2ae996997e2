from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ingest_api.prices.book import Price, PriceError, check_name, check_price, ended, revised
from ingest_api.prices.price_csv import Line, LineError, read_lines, write_lines

OCTOBER, NOVEMBER, DECEMBER = (datetime(2026, month, 1, tzinfo=UTC) for month in (10, 11, 12))


def usd(price: str, start: datetime, end: datetime | None = None, tier: str = "default") -> Price:
    return Price("input", Decimal(price), start, end, tier)


def test_a_price_ends_the_one_before_where_it_begins() -> None:
    assert revised([usd("2", OCTOBER)], [usd("1", NOVEMBER)]) == [
        usd("2", OCTOBER, NOVEMBER),
        usd("1", NOVEMBER),
    ]


def test_a_price_for_a_month_leaves_what_was_before_and_after() -> None:
    assert revised([usd("2", OCTOBER)], [usd("1", NOVEMBER, DECEMBER)]) == [
        usd("2", OCTOBER, NOVEMBER),
        usd("1", NOVEMBER, DECEMBER),
        usd("2", DECEMBER),
    ]


def test_prices_of_other_kinds_and_tiers_stay() -> None:
    output = Price("output", Decimal(8), OCTOBER)
    batch = usd("1", NOVEMBER, tier="batch")
    assert set(revised([usd("2", OCTOBER), output], [batch])) == {
        usd("2", OCTOBER), output, batch,
    }  # fmt: skip


def test_what_is_ended_before_it_begins_never_holds_and_can_be_set_anew() -> None:
    (row,) = ended([usd("2", NOVEMBER)], OCTOBER)
    assert row.is_withdrawn
    assert revised([row], [usd("3", DECEMBER)]) == [usd("3", DECEMBER)]
    assert ended([usd("2", OCTOBER)], NOVEMBER) == [usd("2", OCTOBER, NOVEMBER)]
    assert ended([], NOVEMBER) == []


@pytest.mark.parametrize(
    ("price", "field"),
    [
        (Price("tokens", Decimal(1), OCTOBER), "token_kind"),
        (Price("input", Decimal(-1), OCTOBER), "usd"),
        (Price("input", Decimal("NaN"), OCTOBER), "usd"),
        (Price("input", Decimal("1e-400"), OCTOBER), "usd"),
        (usd("1", OCTOBER, tier="gold"), "service_tier"),
        (usd("1", NOVEMBER, OCTOBER), "valid_to"),
        (usd("1", datetime(2026, 11, 1)), "valid_from"),  # noqa: DTZ001 - it lacks a zone on purpose
        (usd("1", datetime(1, 1, 1, tzinfo=UTC)), "valid_from"),
        (Price("input", Decimal(1), OCTOBER, tier_start_tokens=-1), "tier_start_tokens"),
    ],
)
def test_a_price_that_means_nothing_names_its_field(price: Price, field: str) -> None:
    with pytest.raises(PriceError) as error:
        check_price(price)
    assert error.value.field == field


def test_a_service_tier_needs_default_prices_beside_it() -> None:
    with pytest.raises(PriceError, match="give the default prices"):
        revised([usd("2", NOVEMBER)], [usd("1", OCTOBER, tier="batch")])


@pytest.mark.parametrize("name", ["*", "a*b", "", " ", "a**", "x" * 257])
def test_a_star_stands_at_the_end_or_nowhere(name: str) -> None:
    with pytest.raises(PriceError):
        check_name("model", name)
    check_name("model", "llama-3*")


def test_a_file_that_was_written_is_read_back() -> None:
    lines = [
        Line("main", "openai", "gpt-4o*", usd("0.25", OCTOBER, NOVEMBER)),
        Line("", "own", "llama, the first", Price("hour", Decimal(2), OCTOBER)),
    ]
    assert read_lines(write_lines(lines), DECEMBER) == (lines, [])


def test_a_file_has_every_error_told_with_its_line_and_column() -> None:
    text = (
        "provider_name,model,token_kind,usd,unit,valid_from\n"
        "openai,gpt-4o,input,2,,\n"
        "openai,gpt-4o,inputs,2,,\n"
        "openai,gpt-4o,input,cheap,,\n"
        "openai,,input,2,,\n"
        "openai,gpt-4o,input,2,1 hour,\n"
        "openai,gpt-4o,input,2,,tomorrow\n"
    )
    lines, errors = read_lines(text, DECEMBER)
    assert len(lines) == 1
    assert [(e.line, e.column) for e in errors] == [
        (3, "token_kind"), (4, "usd"), (5, "model"), (6, "unit"), (7, "valid_from"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("provider_name,model,token_kind,price\n", {(1, "price"), (1, "usd")}),
        ("provider_name,model,token_kind,usd\na,b\n", {(2, "")}),
        ("provider_name,model,token_kind,usd\na,b,input,1,2\n", {(2, "")}),
        ('provider_name,model,token_kind,usd\na,"b,input,1\n', {(2, "")}),
    ],
)
def test_a_file_that_is_no_price_list_says_where(text: str, errors: set[tuple[int, str]]) -> None:
    found: list[LineError] = read_lines(text, DECEMBER)[1]
    assert {(error.line, error.column) for error in found} == errors
