"""Pure: when a rule says nothing."""

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

import msgspec

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
CLOCK: Final = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
END_OF_DAY: Final = "24:00"
MAX_REASON: Final = 200

Text = Annotated[str, msgspec.Meta(max_length=MAX_REASON, pattern=r"^[^\x00]*$")]


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


class WeeklySilence(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Hours of the week, by the clock of a place. One that ends before it starts ends next day.

    Attributes:
        from_time: As 22:00.
        to_time: As 06:00, or 24:00.
    """

    days: Annotated[list[Day], msgspec.Meta(min_length=1, max_length=7)]
    from_time: str = "00:00"
    to_time: str = END_OF_DAY
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse what is no clock, or no place.

        Raises:
            ValueError: names the field.
        """
        if not CLOCK.fullmatch(self.from_time):
            raise ValueError("from_time: write it as 22:00")
        if self.to_time != END_OF_DAY and not CLOCK.fullmatch(self.to_time):
            raise ValueError("to_time: write it as 06:00, or 24:00")
        if self.from_time == self.to_time:
            raise ValueError("to_time: is from_time, which is no time at all")
        if self.time_zone not in _zone_names():
            raise ValueError("time_zone: is no IANA time zone, such as Europe/Berlin")

    def holds_at(self, instant: datetime) -> bool:
        """Whether it is that time. An hour that comes twice is silent twice."""
        shown = instant.astimezone(ZoneInfo(self.time_zone))
        clock, today = f"{shown:%H:%M}", DAYS[shown.weekday()]
        if self.from_time < self.to_time:
            return today in self.days and self.from_time <= clock < self.to_time
        yesterday = DAYS[(shown.date() - timedelta(days=1)).weekday()]
        return (today in self.days and clock >= self.from_time) or (
            yesterday in self.days and clock < self.to_time
        )


class Mute(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One time of silence, from `starts_at` up to `ends_at`."""

    starts_at: datetime
    ends_at: datetime
    reason: Text = ""

    def __post_init__(self) -> None:
        """Refuse what is no time.

        Raises:
            ValueError: names the field.
        """
        for name in ("starts_at", "ends_at"):
            if getattr(self, name).tzinfo is None:
                raise ValueError(f"{name}: needs its offset, as in 2026-11-01T08:00:00Z")
        if self.ends_at <= self.starts_at:
            raise ValueError("ends_at: must be after starts_at")

    def holds_at(self, instant: datetime) -> bool:
        """Whether it is that time."""
        return self.starts_at <= instant.astimezone(UTC) < self.ends_at


def is_silent(
    weekly: list[WeeklySilence] | tuple[WeeklySilence, ...],
    mutes: list[Mute] | tuple[Mute, ...],
    instant: datetime,
) -> bool:
    """Whether one of them holds."""
    return any(one.holds_at(instant) for one in (*weekly, *mutes))
