"""`llmscope costs` and `llmscope top`: what was paid, and for what."""

from typing import Annotated, Any, Final

import typer

from cli.connection import call_api, open_api
from cli.keys import JsonOption
from cli.output import print_json, print_table

PATH: Final = "/api/v1/analytics"
COST_COLUMNS: Final = (
    "provider_name", "model", "bucket", "call_count", "cost_usd", "price_usd_per_million",
    "price_valid_from", "price_source",
)  # fmt: skip
TOP_COLUMNS: Final = (
    "call_count", "error_count", "input_tokens", "output_tokens", "total_cost_usd",
    "unpriced_call_count",
)  # fmt: skip
FROM: Final = typer.Option("--from", help="Start: a date, or a time with its offset.")
TO: Final = typer.Option("--to", help="End, exclusive; without it now.")
ZONE: Final = typer.Option("--time-zone", help="IANA zone in which a date is a day.")

FromOption = Annotated[str, FROM]
ToOption = Annotated[str, TO]
ZoneOption = Annotated[str, ZONE]


def costs(
    from_: FromOption = "",
    to: ToOption = "",
    time_zone: ZoneOption = "UTC",
    provider: Annotated[str, typer.Option(help="Only this provider_name.")] = "",
    model: Annotated[str, typer.Option(help="Only this model, as it answered.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Show costs by bucket, and the price that made each; without --from of one day.

    \b
    Examples:
      llmscope costs --from 2026-11-01 --time-zone Europe/Berlin
      llmscope costs --model gpt-4o --json
    """
    given = {"provider_name": provider, "model": model}
    answer = _ask("costs", from_, to, time_zone, **given)
    if as_json:
        print_json(answer)
    else:
        print_table(answer["rows"], COST_COLUMNS)


def top(
    by: Annotated[str, typer.Argument(help="model, user_id, tag:<key> ...")] = "model",
    n: Annotated[int, typer.Option("-n", min=1, max=1000, help="How many.")] = 10,
    order_by: Annotated[str, typer.Option(help="Measure by which they come first.")] = (
        "total_cost_usd"
    ),
    from_: FromOption = "",
    to: ToOption = "",
    time_zone: ZoneOption = "UTC",
    as_json: JsonOption = False,
) -> None:
    """Show what costs most; all others are one row. Without --from of one day.

    \b
    Examples:
      llmscope top
      llmscope top user_id -n 20 --from 2026-11-01
      llmscope top tag:team --order-by call_count
    """
    answer = _ask("top", from_, to, time_zone, by=by, n=str(n), order_by=order_by)
    if as_json:
        print_json(answer)
        return
    rows = [{**row, by: "(all others)"} if row["is_other"] else row for row in answer["rows"]]
    print_table(rows, (by, *TOP_COLUMNS))


def _ask(route: str, from_: str, to: str, time_zone: str, **parameters: str) -> Any:
    given = {"from": from_, "to": to, "time_zone": time_zone, **parameters}
    wanted = {name: value for name, value in given.items() if value}
    with open_api() as client:
        return call_api(client, "GET", f"{PATH}/{route}", params=wanted)
