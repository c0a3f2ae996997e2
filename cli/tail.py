"""`llmscope tail`: events as they arrive in the ledger."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import httpx
import msgspec
import typer

from cli.connection import call_api, open_api
from cli.errors import ApiError, CliError
from cli.output import printable

PATH: Final = "/api/v1/events/recent"
# A look is one query of a few milliseconds; an event is loaded within 5 s anyway.
POLL_SECONDS: Final = 1.0
PAGE_EVENTS: Final = 500
TRANSIENT_STATUS: Final = frozenset({429, 500, 502, 503, 504})

Event = dict[str, Any]


def tail(
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, max=PAGE_EVENTS, help="Events at the start.")
    ] = 10,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Go on with what arrives.")
    ] = True,
    provider: Annotated[str, typer.Option(help="Only this provider_name.")] = "",
    model: Annotated[str, typer.Option(help="Only this model, as it answered.")] = "",
    user: Annotated[str, typer.Option(help="Only this user_id.")] = "",
    status: Annotated[
        Literal["success", "error"] | None, typer.Option(help="Only calls that ended so.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as JSON.")] = False,
) -> None:
    """Show events as they arrive, one line a call.

    They are those of the key's project; Ctrl-C ends it.

    A line is: start in UTC, provider and model, input and output tokens, duration, status.

    \b
    Examples:
      llmscope tail
      llmscope tail --provider openai --status error
      llmscope tail --no-follow -n 100 --json | jq .input_tokens
    """
    given = {"provider_name": provider, "model": model, "user_id": user, "status": status}
    filters = {name: value for name, value in given.items() if value}
    with open_api() as client:
        for event in arrivals(_reader(client, filters), lines, follow):
            typer.echo(msgspec.json.encode(event).decode() if as_json else event_line(event))


def _reader(client: httpx.Client, filters: dict[str, str]) -> Callable[[], list[Event]]:
    def read() -> list[Event]:
        page = call_api(client, "GET", PATH, params={**filters, "limit": PAGE_EVENTS})
        events: list[Event] = page["events"]
        return events

    return read


def arrivals(
    read: Callable[[], list[Event]],
    line_count: int,
    is_followed: bool,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:
    """Each event once, oldest first: the newest `line_count`, then what arrives.

    Args:
        read: The newest events, newest first; the first call's errors end the command, later ones
            are waited out.
    """
    page = read()
    seen = {_identity(event) for event in page}
    yield from reversed(page[:line_count])
    while is_followed:
        sleep(POLL_SECONDS)
        page = _read_again(read)
        fresh = [event for event in page if _identity(event) not in seen]
        if seen and len(fresh) == PAGE_EVENTS:
            typer.echo("... more events arrived than can be shown ...", err=True)
        # What has left the newest page can not come back, so the memory stays bounded.
        seen = {_identity(event) for event in page} or seen
        yield from reversed(fresh)


def _read_again(read: Callable[[], list[Event]]) -> list[Event]:
    """The newest events; none while the API or its database is away."""
    try:
        return read()
    except ApiError as error:
        if error.status not in TRANSIENT_STATUS:
            raise
    except CliError as error:
        typer.echo(f"llmscope: {error}", err=True)
    return []


def _identity(event: Event) -> tuple[str, str]:
    return event["event_id"], event["started_at"]


def event_line(event: Event) -> str:
    """Pure: one call in one line."""
    model = event["response_model"] or event["request_model"]
    duration = _duration(event)
    status = f"error {event['error_type']}" if event["error_type"] else "ok"
    return printable(
        f"{_clock(event['started_at'])}  {event['provider_name']}/{model:<28}  "
        f"{_count(event['input_tokens'])} in  {_count(event['output_tokens'])} out  "
        f"{duration:>9}  {status}"
    )


def _clock(started_at: str) -> str:
    """A time in UTC, to the second."""
    return f"{datetime.fromisoformat(started_at).astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _count(tokens: int | None) -> str:
    return f"{'-' if tokens is None else format(tokens, ','):>9}"


def _duration(event: Event) -> str:
    seconds = event["duration_seconds"]
    return "-" if seconds is None else f"{seconds:.2f} s"
