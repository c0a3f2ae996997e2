"""`llmscope dead-letters`: look at events that could not be loaded, and settle them."""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import httpx
import msgspec
import typer

from cli.connection import call_api, open_api
from cli.errors import REJECTED_EXIT_CODE, CliError
from cli.keys import JsonOption, read_time
from cli.output import print_json, print_rows, printable

app = typer.Typer(
    no_args_is_help=True,
    help="Look at events that could not be loaded, and settle them.\n\nThey are kept with payload "
    "and reason until you replay or discard them.",
)

PATH: Final = "/api/v1/dead-letters"
# What the API settles in one request, and lists on one page, at most.
IDS_PER_REQUEST: Final = 1000
LETTERS_PER_PAGE: Final = 500
COLUMNS: Final = ("dead_letter_id", "state", "rejected_at", "rejected_reason")
SETTLED: Final = {"replayed", "discarded", "already_settled"}


IdsArgument = Annotated[list[int] | None, typer.Argument(min=1, help="Ids of the letters.")]
ReasonOption = Annotated[str, typer.Option(help="Only those with this in their reason.")]
AfterOption = Annotated[
    str, typer.Option(help="Only those rejected at or after this time: 2026-11-23T10:00:00Z.")
]
BeforeOption = Annotated[str, typer.Option(help="Only those rejected before this time.")]
AllOption = Annotated[bool, typer.Option("--all", help="All open letters of the project.")]


@app.command("list")
def list_(
    state: Annotated[
        Literal["open", "replayed", "discarded", "all"], typer.Option(help="Which letters.")
    ] = "open",
    reason: ReasonOption = "",
    rejected_after: AfterOption = "",
    rejected_before: BeforeOption = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Show the letters of the key's project, newest first.

    \b
    Examples:
      llmscope dead-letters list
      llmscope dead-letters list --reason "numeric overflow" --state all --json
    """
    filters = _filters(reason, rejected_after, rejected_before) | {"state": state}
    with open_api() as client:
        letters = list(islice(_pages(client, filters, min(limit, LETTERS_PER_PAGE)), limit))
    print_rows(letters, COLUMNS, as_json=as_json)


@app.command()
def show(dead_letter_id: Annotated[int, typer.Argument(min=1, help="Id of the letter.")]) -> None:
    """Print one letter as JSON; its payload needs a key with the scope admin.

    \b
    Examples:
      llmscope dead-letters show 17
      llmscope dead-letters show 17 | jq -r .payload > event.json
    """
    with open_api() as client:
        page = call_api(
            client, "GET", PATH, params={"state": "all", "limit": 1, "cursor": dead_letter_id + 1}
        )
    found = [one for one in page["dead_letters"] if one["dead_letter_id"] == dead_letter_id]
    if not found:
        raise CliError(f"There is no dead letter {dead_letter_id} in the key's project.")
    print_json(found[0])


@app.command()
def replay(
    ids: IdsArgument = None,
    event: Annotated[
        Path | None,
        typer.Option(help="A file with the corrected event, sent in place of the payload."),
    ] = None,
    reason: ReasonOption = "",
    rejected_after: AfterOption = "",
    rejected_before: BeforeOption = "",
    is_all: AllOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send letters through the stream again. Doing it twice is harmless: an event is one row.

    Letters that still break the contract stay open; the exit code is then 2.

    \b
    Examples:
      llmscope dead-letters replay 17 18
      llmscope dead-letters replay 17 --event corrected.json
      llmscope dead-letters replay --reason "numeric overflow"
      llmscope dead-letters replay --all
    """
    corrections = {} if event is None else {"events": _correction(ids, event)}
    _settle("replay", ids, _filters(reason, rejected_after, rejected_before), is_all, as_json,
            corrections)  # fmt: skip


@app.command()
def discard(
    ids: IdsArgument = None,
    reason: ReasonOption = "",
    rejected_after: AfterOption = "",
    rejected_before: BeforeOption = "",
    is_all: AllOption = False,
    as_json: JsonOption = False,
) -> None:
    """Give up letters: they stay in the table and are never loaded.

    \b
    Examples:
      llmscope dead-letters discard 17 18
      llmscope dead-letters discard --rejected-before 2026-11-01T00:00:00Z
    """
    _settle("discard", ids, _filters(reason, rejected_after, rejected_before), is_all, as_json, {})


def _filters(reason: str, rejected_after: str, rejected_before: str) -> dict[str, str]:
    filters = {"reason": reason} if reason else {}
    for option, text in (("rejected_after", rejected_after), ("rejected_before", rejected_before)):
        if text:
            filters[option] = read_time(f"--{option.replace('_', '-')}", text).isoformat()
    return filters


def _correction(ids: list[int] | None, file: Path) -> dict[str, Any]:
    if ids is None or len(ids) != 1:
        raise CliError("--event stands for one letter: give exactly one id.")
    try:
        # Verbatim: numbers of the usage object must not pass through a float.
        event = msgspec.json.decode(file.read_bytes(), type=msgspec.Raw)
    except OSError as error:
        raise CliError(f"{file} cannot be read: {error.strerror}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CliError(f"{file} is not valid JSON: {error}.") from None
    return {str(ids[0]): event}


def _pages(
    client: httpx.Client, filters: dict[str, str], page_letters: int = LETTERS_PER_PAGE
) -> Iterator[dict[str, Any]]:
    """All letters that pass the filters, newest first, without their payloads."""
    cursor: dict[str, str] = {}
    while True:
        parameters = {**filters, **cursor, "limit": str(page_letters), "with_payload": "false"}
        page = call_api(client, "GET", PATH, params=parameters)
        yield from page["dead_letters"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


def _settle(
    verb: str,
    ids: list[int] | None,
    filters: dict[str, str],
    is_all: bool,
    as_json: bool,
    corrections: dict[str, Any],
) -> None:
    """Replay or discard what was named, say what became of it, and end with the exit code."""
    if bool(ids) + bool(filters) + is_all != 1:
        raise CliError("Say which letters: ids, or filters such as --reason, or --all.")
    results: list[dict[str, Any]] = []
    with open_api() as client:
        chosen = ids or [letter["dead_letter_id"] for letter in _pages(client, filters)]
        for start in range(0, len(chosen), IDS_PER_REQUEST):
            body = {"ids": chosen[start : start + IDS_PER_REQUEST], **corrections}
            answer = call_api(client, "POST", f"{PATH}/{verb}", content=msgspec.json.encode(body))
            results += answer["results"]
    if as_json:
        print_json(results)
    else:
        _print_results(results)
    if any(one["outcome"] not in SETTLED for one in results):
        raise typer.Exit(REJECTED_EXIT_CODE)


def _print_results(results: list[dict[str, Any]]) -> None:
    for one in results:
        if one["outcome"] not in SETTLED:
            words = f"{one['dead_letter_id']}: {one['outcome'].replace('_', ' ')}"
            reason = f": {printable(one['reason'])}" if one["reason"] else ""
            typer.echo(words + reason, err=True)
    counts = Counter(one["outcome"] for one in results)
    typer.echo(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
               or "There is no such letter.")  # fmt: skip
