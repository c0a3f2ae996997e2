"""Pure: where a client is in the feed.

An event's id is `<entry>-<place>`: the id of its entry in the stream, `<milliseconds>-<sequence>`,
and its place in the entry. All events of a project lie in one stream, so its ids are ordered.
`<entry>` alone means all of the entry.
"""

import re
from typing import Final, NamedTuple, Self

_FORM: Final = re.compile(r"([0-9]{1,15})-([0-9]{1,19})(?:-([0-9]{1,6}))?", re.ASCII)
# An entry never has so many events.
WHOLE: Final = 1_000_000
# Greater than any sequence, and still of the form.
_LAST: Final = 10**18


class BadPositionError(ValueError):
    """The text is no id of the feed."""


class Position(NamedTuple):
    """An event, or the end of an entry where `place` is `WHOLE`. Ordered as a tuple."""

    milliseconds: int
    sequence: int
    place: int = WHOLE

    @classmethod
    def parse(cls, text: str) -> Self:
        """The position behind an id.

        Raises:
            BadPositionError: it is none.
        """
        found = _FORM.fullmatch(text)
        if found is None:
            raise BadPositionError("use the `id` of a message of the feed")
        milliseconds, sequence, place = found.groups()
        return cls(int(milliseconds), int(sequence), WHOLE if place is None else int(place))

    @classmethod
    def of_entry(cls, entry_id: str) -> Self:
        """The end of an entry of the stream."""
        milliseconds, _, sequence = entry_id.partition("-")
        return cls(int(milliseconds), int(sequence))

    @classmethod
    def before_entry(cls, entry_id: str) -> Self:
        """Behind everything that lies before an entry of the stream."""
        milliseconds, sequence, _ = cls.of_entry(entry_id)
        return cls(milliseconds, sequence - 1) if sequence else cls(milliseconds - 1, _LAST)

    @property
    def entry_id(self) -> str:
        """The entry that it lies in."""
        return f"{self.milliseconds}-{self.sequence}"

    def __str__(self) -> str:
        return self.entry_id if self.place == WHOLE else f"{self.entry_id}-{self.place}"

    def may_miss(self, oldest_id: str) -> bool:
        """Whether events behind it may be gone where entries before `oldest_id` are."""
        next_sequence = self.sequence + (self.place == WHOLE)
        return Position.of_entry(oldest_id) > Position(self.milliseconds, next_sequence)


def now_position(last_id: str, now_milliseconds: int) -> Position:
    """A position behind every entry up to `last_id` and before every later one.

    It tells the time of the question, not when somebody else last wrote to the stream.
    """
    last = Position.of_entry(last_id)
    return max(last, Position(now_milliseconds - 1, 0))


def second_before(position: Position) -> Position:
    """The beginning of the second that `position` lies in.

    What a client is told of entries that are not its own, to the second.
    """
    return Position(position.milliseconds - position.milliseconds % 1000, 0)
