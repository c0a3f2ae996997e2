"""Pure: periods, time zones, and the instants at which their minutes, hours, days ... begin.

All of it is UTC instants once computed, so that SQL never sees a time zone.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from ingest_api.analytics.problems import bad, beyond

Interval = Literal["minute", "hour", "day", "week", "month"]

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
# Before it zones lie odd seconds off UTC, and no model was called.
FIRST_INSTANT: Final = datetime(2000, 1, 1, tzinfo=UTC)
LAST_INSTANT: Final = datetime(2200, 1, 1, tzinfo=UTC)
DEFAULT_LENGTH: Final = timedelta(days=1)
# By each interval: the longest period, in days, so that a chart has at most a few thousand points.
MAX_PERIOD_DAYS: Final[dict[Interval, int]] = {
    "minute": 2, "hour": 93, "day": 5 * 366, "week": 10 * 366, "month": 10 * 366,
}  # fmt: skip
MAX_TOTAL_DAYS: Final = 10 * 366
COARSER: Final[dict[Interval, Interval]] = {
    "minute": "hour", "hour": "day", "day": "week", "week": "month",
}  # fmt: skip


class Period(NamedTuple):
    """From `start` up to, and without, `end`; both UTC and whole minutes."""

    start: datetime
    end: datetime
    zone: ZoneInfo

    def before(self) -> "Period":
        """The period of the same length that ends where this one starts."""
        return Period(self.start - (self.end - self.start), self.start, self.zone)

    def shown(self, instant: datetime) -> datetime:
        """An instant in the clock of the period's zone."""
        return instant.astimezone(self.zone)


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def read_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name.

    Raises:
        BadParameterError: there is none.
    """
    if name not in _zone_names():
        raise bad("time_zone", "is no IANA time zone, such as Europe/Berlin")
    return ZoneInfo(name)


def read_period(
    start: datetime | date | None, end: datetime | date | None, zone: ZoneInfo, now: datetime
) -> Period:
    """The period that a question asks for; without `end` up to `now`, without `start` one day.

    A date is its first instant in `zone`. Instants are widened to whole minutes.

    Raises:
        BadParameterError: it is empty, or of another age.
    """
    last = _ceiling(_instant(now if end is None else end, zone, "to"))
    first = last - DEFAULT_LENGTH if start is None else _floor(_instant(start, zone, "from"))
    if first >= last:
        raise bad("from", "must be before `to`")
    return Period(first, last, zone)


def _instant(value: datetime | date, zone: ZoneInfo, field: str) -> datetime:
    if not isinstance(value, datetime):
        value = datetime.combine(value, time(), zone)
    if not FIRST_INSTANT <= value <= LAST_INSTANT:
        raise bad(field, f"must lie between {FIRST_INSTANT:%Y} and {LAST_INSTANT:%Y}")
    return value.astimezone(UTC)


def _floor(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def _ceiling(instant: datetime) -> datetime:
    floor = _floor(instant)
    return floor if floor == instant else floor + MINUTE


def check_length(period: Period, interval: Interval | None = None) -> None:
    """Refuse a period that is too long for its interval, or for any answer.

    Raises:
        LimitExceededError: names `max_period_days`.
    """
    maximum = MAX_PERIOD_DAYS[interval] if interval else MAX_TOTAL_DAYS
    length = period.end - period.start
    if length <= timedelta(days=maximum):
        return
    coarser = COARSER.get(interval) if interval else None
    advice = f"ask for interval={coarser}, or a shorter period." if coarser else "shorten it."
    raise beyond("max_period_days", maximum, -(-length // timedelta(days=1)), advice)


def boundaries(period: Period, interval: Interval) -> list[datetime]:
    """Where the buckets of a period begin, and last where it ends, in UTC.

    The first and the last bucket are cut to the period. Each other one is a whole minute, hour,
    day ... of the zone's clock: a day of 23 or 25 hours, where the clocks change, is one bucket.
    """
    inner = (i for i in _starts(period, interval) if period.start < i < period.end)
    return [period.start, *dict.fromkeys(inner), period.end]


def _starts(period: Period, interval: Interval) -> Iterator[datetime]:
    match interval:
        case "minute":
            return _steps(period)
        case "hour":
            return _clock_hours(period)
        case _:
            return _days(period, interval)


def _steps(period: Period) -> Iterator[datetime]:
    at = period.start
    while at < period.end:
        yield at
        at += MINUTE


def _clock_hours(period: Period) -> Iterator[datetime]:
    """Each hour of the clock; where it jumps by half an hour, the halves stand alone."""
    at = period.start
    while at < period.end:
        yield at
        at += HOUR - period.shown(at).minute * MINUTE


def _days(period: Period, interval: Interval) -> Iterator[datetime]:
    day = _first_day(period.shown(period.start).date(), interval)
    last = period.shown(period.end).date()
    while day <= last:
        # A midnight that the clocks skip is the instant of the skip; of two midnights, the first.
        yield datetime.combine(day, time(), period.zone).astimezone(UTC)
        day = _next_day(day, interval)


def _first_day(day: date, interval: Interval) -> date:
    if interval == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if interval == "month" else day


def _next_day(day: date, interval: Interval) -> date:
    if interval == "month":
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return day + timedelta(days=7 if interval == "week" else 1)
