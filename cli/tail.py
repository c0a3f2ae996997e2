"""`llmscope tail`: events as they are accepted."""

from collections.abc import Generator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

import httpx
import msgspec
import typer

from cli.connection import call_api, open_api
from cli.errors import ApiError, CliError
from cli.feed import Feed, Message, say
from cli.output import printable

PATH: Final = "/api/v1/events/recent"
PAGE_EVENTS: Final = 500
# Among the calls that began last is one that was loaded a moment ago.
NEWEST_EVENTS: Final = 50
# The feed begins so long before it: the clocks of the API and of Redis may differ.
CLOCK_SKEW: Final = timedelta(seconds=1)
DATABASE_AWAY: Final = 503

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

    They are those of the key's project; Ctrl-C ends it. First come loaded ones, then the live feed.

    A line is: start in UTC, provider and model, input and output tokens, duration, the estimated
    cost where the feed knows one, status.

    \b
    Examples:
      llmscope tail
      llmscope tail --provider openai --status error
      llmscope tail --no-follow -n 100 --json | jq .input_tokens
    """
    given = {"provider_name": provider, "model": model, "user_id": user, "status": status}
    filters = {name: value for name, value in given.items() if value}
    with open_api() as client:
        for event in tailed(client, filters, lines, is_followed=follow):
            typer.echo(msgspec.json.encode(event).decode() if as_json else event_line(event))


def tailed(
    client: httpx.Client, filters: dict[str, str], line_count: int, *, is_followed: bool
) -> Generator[Event, None, None]:
    """The newest `line_count` loaded events, oldest first, then what the feed has beyond them.

    Without the database only what the feed has from now on; errors as in `Feed.messages`.
    """
    try:
        newest = _read_recent(client, {}, NEWEST_EVENTS)
        page = _read_recent(client, filters, PAGE_EVENTS)
    except ApiError as error:
        if error.status != DATABASE_AWAY or not is_followed:
            raise
        say(f"llmscope: {error.detail} Showing what arrives.")
        newest, page = [], []
    yield from reversed(page[:line_count])
    if is_followed:
        feed = Feed(client, filters, start_id(newest))
        yield from fresh_events(feed.messages(), page)


def _read_recent(client: httpx.Client, filters: dict[str, str], limit: int) -> list[Event]:
    answer = call_api(client, "GET", PATH, params={**filters, "limit": limit})
    events: list[Event] = answer["events"]
    return events


def start_id(newest: list[Event]) -> str:
    """Pure: where the feed has what is not loaded yet; empty, that is now, without any row."""
    if not newest:
        return ""
    received_at = max(datetime.fromisoformat(event["received_at"]) for event in newest)
    return f"{int((received_at - CLOCK_SKEW).timestamp() * 1000)}-0"


def fresh_events(messages: Iterable[Message], shown: list[Event]) -> Iterator[Event]:
    """Pure: the events of the feed but for those of the page at the start.

    What the feed says of lost events goes to standard error.

    Raises:
        CliError: the server closed the feed for good.
    """
    known = {_identity(event) for event in shown}
    is_resumed = False
    for message in messages:
        match message["type"]:
            case "event":
                event: Event = message["event"]
                if _identity(event) not in known:
                    yield event
            case "dropped":
                say(f"... {message['count']:,} events arrived faster than they could be shown ...")
            case "gap" if is_resumed:
                say("... events may be missing: the connection was away for too long ...")
            case "ready":
                continue
            case "end":
                raise CliError(f"The server closed the feed: {message['problem']['detail']}")
        # Before the first event or heartbeat the feed tells of the time before this command.
        is_resumed = True


def _identity(event: Event) -> tuple[str, datetime]:
    return event["event_id"], datetime.fromisoformat(event["started_at"])


def event_line(event: Event) -> str:
    """Pure: one call in one line."""
    model = event["response_model"] or event["request_model"]
    status = f"error {event['error_type']}" if event["error_type"] else "ok"
    return printable(
        f"{_clock(event['started_at'])}  {event['provider_name']}/{model:<28}  "
        f"{_count(event['input_tokens'])} in  {_count(event['output_tokens'])} out  "
        f"{_duration(event):>9}  {_cost(event):>12}  {status}"
    )


def _clock(started_at: str) -> str:
    """A time in UTC, to the second."""
    return f"{datetime.fromisoformat(started_at).astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _count(tokens: int | None) -> str:
    return f"{'-' if tokens is None else format(tokens, ','):>9}"


def _duration(event: Event) -> str:
    seconds = event["duration_seconds"]
    return "-" if seconds is None else f"{seconds:.2f} s"


def _cost(event: Event) -> str:
    """The estimate of the feed; loaded events have their cost in the marts."""
    cost = event.get("estimated_cost_usd")
    return "-" if cost is None else f"~${float(cost):.6f}"
