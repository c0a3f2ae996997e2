"""Where buckets begin, by the clocks of odd zones."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from ingest_api.analytics.periods import (
    Interval,
    Period,
    boundaries,
    check_length,
    read_period,
    read_zone,
)
from ingest_api.errors import BadParameterError, LimitExceededError

NOW = datetime(2026, 11, 24, 7, 30, 12, tzinfo=UTC)


def period(zone: str, start: str, end: str) -> Period:
    dates = (date.fromisoformat(start), date.fromisoformat(end))
    return read_period(*dates, read_zone(zone), NOW)


def hours(zone: str, interval: Interval, start: str, end: str) -> list[float]:
    edges = boundaries(period(zone, start, end), interval)
    return [(b - a) / timedelta(hours=1) for a, b in pairwise(edges)]


@pytest.mark.parametrize(
    ("zone", "start", "end", "expected"),
    [
        ("UTC", "2026-11-01", "2026-11-03", [24, 24]),
        ("Europe/Berlin", "2026-10-24", "2026-10-27", [24, 25, 24]),
        ("Europe/Berlin", "2026-03-28", "2026-03-31", [24, 23, 24]),
        ("Australia/Lord_Howe", "2026-04-04", "2026-04-07", [24, 24.5, 24]),
        # The clocks skip midnight itself.
        ("Africa/Cairo", "2026-04-23", "2026-04-26", [24, 23, 24]),
        # Midnight comes twice; the day begins with the first.
        ("America/Havana", "2026-10-31", "2026-11-03", [24, 25, 24]),
        # A day that never was.
        ("Pacific/Apia", "2011-12-29", "2012-01-01", [24, 24]),
        ("Asia/Kathmandu", "2026-11-01", "2026-11-02", [24]),
    ],
)
def test_a_day_is_as_long_as_the_clock_says(
    zone: str, start: str, end: str, expected: list[float]
) -> None:
    assert hours(zone, "day", start, end) == expected


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Africa/Cairo", "America/St_Johns"]
)
@pytest.mark.parametrize("interval", ["hour", "day", "week", "month"])
def test_every_inner_boundary_is_the_start_of_its_bucket_on_the_wall(
    zone: str, interval: Interval
) -> None:
    asked = period(zone, "2026-03-05", "2026-05-08")
    edges = boundaries(asked, interval)
    assert (edges[0], edges[-1]) == (asked.start, asked.end)
    assert all(a < b for a, b in pairwise(edges))
    for edge in edges[1:-1]:
        shown = edge.astimezone(ZoneInfo(zone))
        before = (edge - timedelta(minutes=1)).astimezone(ZoneInfo(zone))
        assert shown.minute == 0
        match interval:
            case "hour":
                assert shown.utcoffset() != before.utcoffset() or before.minute == 59
            case "day":
                assert shown.date() > before.date()
            case "week":
                assert (shown.weekday(), before.weekday()) == (0, 6)
            case "month":
                assert (shown.day, shown.month) == (1, before.month % 12 + 1)


def test_an_hour_that_comes_twice_is_two_buckets() -> None:
    assert len(hours("Europe/Berlin", "hour", "2026-10-25", "2026-10-26")) == 25
    assert len(hours("Europe/Berlin", "hour", "2026-03-29", "2026-03-30")) == 23
    halves = hours("Australia/Lord_Howe", "hour", "2026-04-05", "2026-04-06")
    assert (len(halves), sum(halves), halves.count(0.5)) == (25, 24.5, 1)


def test_the_first_and_the_last_bucket_are_cut_to_the_period() -> None:
    start, end = datetime(2026, 11, 1, 10, 15, tzinfo=UTC), datetime(2026, 11, 3, 1, tzinfo=UTC)
    edges = boundaries(read_period(start, end, ZoneInfo("UTC"), NOW), "day")
    assert edges == [start, *(datetime(2026, 11, day, tzinfo=UTC) for day in (2, 3)), end]


def test_a_period_is_widened_to_whole_minutes_and_is_one_day_long_unless_told() -> None:
    asked = read_period(None, None, ZoneInfo("UTC"), NOW)
    assert asked.end == datetime(2026, 11, 24, 7, 31, tzinfo=UTC)
    assert asked.end - asked.start == timedelta(days=1)
    exact = asked.end
    assert read_period(exact - timedelta(seconds=1), exact, ZoneInfo("UTC"), NOW) == Period(
        exact - timedelta(minutes=1), exact, ZoneInfo("UTC")
    )


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        (date(2026, 11, 2), date(2026, 11, 2), "from"),
        (date(2026, 11, 3), date(2026, 11, 2), "from"),
        (date(1969, 1, 1), date(2026, 11, 2), "from"),
        (date(2026, 11, 2), date(2999, 1, 1), "to"),
    ],
)
def test_a_period_that_is_none_is_refused(start: date, end: date, field: str) -> None:
    with pytest.raises(BadParameterError) as refused:
        read_period(start, end, ZoneInfo("UTC"), NOW)
    assert refused.value.extra["errors"][0]["field"] == field


@pytest.mark.parametrize("name", ["", "Berlin", "../etc/passwd", "europe/berlin", "UTC\0"])
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(BadParameterError, match="time_zone"):
        read_zone(name)


def test_a_limit_names_itself_and_the_way_out() -> None:
    asked = period("UTC", "2026-01-01", "2026-11-01")
    with pytest.raises(LimitExceededError, match="interval=hour") as refused:
        check_length(asked, "minute")
    assert refused.value.extra["limit"] == {"name": "max_period_days", "maximum": 2, "asked": 304}
    check_length(asked, "day")
