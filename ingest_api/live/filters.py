"""Pure: which events a client wants."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from ingest_api.events import Event

Matches = Callable[[Event], bool]


class Filters(NamedTuple):
    """Which events of the project to show; None lets all pass. The words are those of
    `GET /events/recent`.
    """

    provider_name: str | None = None
    model: str | None = None
    user_id: str | None = None
    status: Literal["success", "error"] | None = None
    environment: str | None = None
    service_name: str | None = None


def _model(event: Event) -> str | None:
    return event.response_model or event.request_model


def _status(event: Event) -> str:
    return "success" if event.error_type is None else "error"


VALUES: dict[str, Callable[[Event], Any]] = {
    **{
        name: attrgetter(name)
        for name in ("provider_name", "user_id", "environment", "service_name")
    },
    "model": _model,
    "status": _status,
}


def matcher(filters: Filters) -> Matches | None:
    """What tells the wanted events; None where all are."""
    wanted = [(VALUES[name], value) for name, value in filters._asdict().items() if value]
    if not wanted:
        return None
    return lambda event: all(value_of(event) == value for value_of, value in wanted)
