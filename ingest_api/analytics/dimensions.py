"""Pure: what figures may be grouped and filtered by."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from psycopg import sql

# How a call is shown, and found, that has no user, environment, error ...
NONE: Final = "(none)"
TAG_PREFIX: Final = "tag:"
PLAIN: Final = (
    "provider_name", "model", "operation_name", "environment", "service_name", "user_id",
    "error_type",
)  # fmt: skip


def unformatted(text: str) -> str:
    """Text inside a query with parameters, where a percent sign would begin one."""
    return text.replace("%", "%%")


class Dimension(NamedTuple):
    """A column of the marts, or one key of their `tags`.

    Attributes:
        name: As in a question: `model`, `tag:team`.
    """

    name: str

    @property
    def tag_key(self) -> str | None:
        """The key in `tags`; None for a column."""
        return self.name.removeprefix(TAG_PREFIX) if self.name.startswith(TAG_PREFIX) else None

    @property
    def column(self) -> sql.Composable:
        """Where the value lies, null where there is none."""
        if self.tag_key is not None:
            return sql.SQL("tags ->> {}").format(sql.Literal(unformatted(self.tag_key)))
        return sql.Identifier(self.name)

    @property
    def value(self) -> sql.Composable:
        """The value as it is shown."""
        return sql.SQL("coalesce({}, {})").format(self.column, sql.Literal(NONE))


class Filter(NamedTuple):
    """Only calls whose `dimension` is one of `values`."""

    dimension: Dimension
    values: tuple[str, ...]

    def condition(self, parameter: str) -> sql.Composable:
        """True for such calls. A column without coalesce is one that an index can find."""
        found = sql.SQL("{} = any({})").format(self.dimension.column, sql.Placeholder(parameter))
        if NONE in self.values:
            return sql.SQL("({} or {} is null)").format(found, self.dimension.column)
        return found


def read_filters(plain: Mapping[str, Sequence[str]], tags: Sequence[str]) -> tuple[Filter, ...]:
    """The filters of a question.

    Args:
        plain: Wanted values by column; none lets all pass.
        tags: As in `team:search`. Several values of a key are alternatives.
    """
    wanted = {name: tuple(values) for name, values in plain.items() if values}
    for tag in tags:
        key, _, value = tag.partition(":")
        name = TAG_PREFIX + key
        wanted[name] = (*wanted.get(name, ()), value)
    return tuple(Filter(Dimension(name), values) for name, values in wanted.items())


def filter_conditions(filters: Sequence[Filter]) -> list[sql.Composable]:
    """One condition for each filter, on the parameters of `filter_parameters`."""
    return [one.condition(f"filter_{n}") for n, one in enumerate(filters)]


def filter_parameters(filters: Sequence[Filter]) -> dict[str, Any]:
    """The wanted values."""
    return {f"filter_{n}": list(one.values) for n, one in enumerate(filters)}
