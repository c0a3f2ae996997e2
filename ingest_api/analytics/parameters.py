"""The parameters of the questions, as FastAPI reads and documents them."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.json_schema import WithJsonSchema

from ingest_api.analytics.dimensions import PLAIN, Filter, read_filters
from ingest_api.analytics.measures import ALL_FAMILIES, ALL_MEASURES, DEFAULT_FAMILIES, Family
from ingest_api.analytics.periods import Interval

Format = Literal["json", "csv", "parquet"]

MAX_FILTER_VALUES: Final = 50
MAX_VALUE_CHARACTERS: Final = 256
# Postgres stores no U+0000, so nothing can equal it.
Value = Annotated[str, StringConstraints(max_length=MAX_VALUE_CHARACTERS, pattern="^[^\\x00]*$")]
Values = Annotated[list[Value], Field(default_factory=list, max_length=MAX_FILTER_VALUES)]
TagValue = Annotated[str, StringConstraints(pattern="^[^\\x00:]{1,64}:[^\\x00]{0,256}$")]
DimensionName = Annotated[
    str, StringConstraints(pattern=f"^({'|'.join(PLAIN)}|tag:[^\\x00]{{1,64}})$")
]
MeasureName = Annotated[
    str, StringConstraints(pattern=f"^({'|'.join(one.name for one in ALL_MEASURES)})$")
]


def _read_instant(value: object) -> datetime | date:
    """An instant with its offset, or a date.

    Raises:
        ValueError: it is neither.
    """
    text = str(value)
    try:
        if len(text) == len("2026-11-01"):
            return date.fromisoformat(text)
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise ValueError(
            "use a date, as in 2026-11-01, or a time with its offset, as in 2026-11-01T08:00:00Z "
            "(in a URL a plus is %2B)"
        )
    return instant


Instant = Annotated[
    datetime | date,
    BeforeValidator(_read_instant),
    WithJsonSchema(
        {"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]},
        mode="validation",
    ),
]


class PeriodParameters(BaseModel):
    """When, in whose clock, and in which form."""

    model_config = ConfigDict(populate_by_name=True)

    from_: Instant | None = Field(
        None,
        alias="from",
        description="Start, inclusive; a date is its first instant in `time_zone`. "
        "Without it the period is one day. Seconds are rounded down to the minute.",
    )
    to: Instant | None = Field(
        None, description="End, exclusive; without it now. Seconds are rounded up to the minute."
    )
    time_zone: Annotated[str, Field(max_length=64)] = Field(
        "UTC", description="IANA name of the clock by which hours, days, weeks and months begin."
    )
    format: Format | None = Field(
        None, description="Form of the answer; without it `Accept` decides, and else it is JSON."
    )


class FilteredParameters(PeriodParameters):
    """Which calls. A value `(none)` stands for calls without one; several are alternatives."""

    provider_name: Values
    model: Values = Field(description="The model that answered, else the one that was asked.")
    operation_name: Values
    environment: Values
    service_name: Values
    user_id: Values
    error_type: Values = Field(description="`(none)` are the calls that succeeded.")
    tag: Annotated[list[TagValue], Field(default_factory=list, max_length=MAX_FILTER_VALUES)] = (
        Field(description="As in `team:search`; several of one key are alternatives.")
    )

    @property
    def filters(self) -> tuple[Filter, ...]:
        """The filters."""
        return read_filters({name: getattr(self, name) for name in PLAIN}, self.tag)


class OverviewParameters(FilteredParameters):
    """Totals of a period and of the one before."""

    top: int = Field(5, ge=0, le=50, description="Models to list.")
    measures: list[Family] = Field(
        list(ALL_FAMILIES), min_length=1, max_length=20, description="What to count."
    )


class TimeseriesParameters(FilteredParameters):
    """Figures over time."""

    interval: Interval = Field("hour", description="Length of a bucket, by the clock of the zone.")
    group_by: DimensionName | None = Field(None, description="One series for each value.")
    measures: list[Family] = Field(
        list(DEFAULT_FAMILIES), min_length=1, max_length=20, description="What to count."
    )
    limit: int = Field(
        10, ge=1, le=50, description="Series that stand alone; all others are one, `is_other`."
    )
    order_by: MeasureName = Field(
        "total_cost_usd", description="The measure whose sum decides which series stand alone."
    )


class BreakdownParameters(FilteredParameters):
    """Totals by what calls have in common."""

    group_by: list[DimensionName] = Field(
        ["provider_name", "model"], min_length=1, max_length=4, description="What to tell apart."
    )
    measures: list[Family] = Field(
        list(DEFAULT_FAMILIES), min_length=1, max_length=20, description="What to count."
    )
    order_by: MeasureName = Field("total_cost_usd", description="Most of it comes first.")
    limit: int | None = Field(
        None, ge=1, le=1_000_000, description="Rows; without it all, up to the limit of the form."
    )


class TopParameters(FilteredParameters):
    """The most expensive, busiest ... of something."""

    by: DimensionName = Field("model", description="Of what.")
    order_by: MeasureName = Field("total_cost_usd", description="By which measure.")
    n: int = Field(10, ge=1, le=1000, description="How many; all others are one row, `is_other`.")
    measures: list[Family] = Field(
        list(DEFAULT_FAMILIES), min_length=1, max_length=20, description="What to count."
    )


class ConversationsParameters(PeriodParameters):
    """Conversations by their last call."""

    user_id: Values = Field(description="Of these users.")
    service_name: Values = Field(description="Of these services.")
    limit: int = Field(50, ge=1, le=1000, description="Conversations on a page of JSON.")
    cursor: Annotated[str, StringConstraints(max_length=1000, pattern="^[^\\x00]*$")] | None = (
        Field(None, description="`next_cursor` of the page before. Exports have no pages.")
    )


class CostsParameters(PeriodParameters):
    """What was paid, by bucket and price."""

    provider_name: Values
    model: Values


def accepted_format(asked: Format | None, accept: str) -> Format:
    """The form of an answer: what was asked for, else what the client accepts, else JSON."""
    if asked:
        return asked
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return next((MEDIA[kind] for kind in kinds if kind in MEDIA), "json")


MEDIA: Final[dict[str, Format]] = {
    "application/json": "json",
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
}


def canonical(parameters: BaseModel) -> dict[str, Any]:
    """The same question in the same form, however it was spelt."""
    return parameters.model_dump(mode="json", exclude={"from_", "to", "format"})
