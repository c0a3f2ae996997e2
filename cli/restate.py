"""`llmscope restate`: price calls of the past anew, with the figures before and after kept."""

import getpass
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.connection import built_marts, open_database
from cli.errors import CliError
from cli.keys import JsonOption, read_time, require_project
from cli.output import print_json, print_table

if TYPE_CHECKING:
    from ingest_api.database.restatements import Preview

app = typer.Typer(
    no_args_is_help=True,
    help="Price calls of the past anew, with the prices known now.\n\n"
    "A cost stays as it was computed until you ask for another. The figure before, the figure "
    "after, why and who stay in marts.fct_cost_restatements.",
)

COLUMNS: Final = (
    "requested_at", "requested_by", "reason", "period_start", "period_end", "project",
    "provider_name", "model", "changed_call_count", "before_cost_usd", "after_cost_usd",
    "restatement_id",
)  # fmt: skip
TIME_FORM: Final = "2026-11-01T00:00:00Z"

FromOption = Annotated[
    str, typer.Option("--from", help=f"Calls that started at or after this time: {TIME_FORM}.")
]
ToOption = Annotated[str, typer.Option("--to", help="Calls that started before this time.")]
ProviderOption = Annotated[str, typer.Option(help="Only calls of this provider_name.")]
ModelOption = Annotated[str, typer.Option(help="Only calls of this model, as in the marts.")]
ProjectOption = Annotated[str, typer.Option(help="Only calls of this project.")]


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """Show what was requested, and what it has changed.

    \b
    Examples:
      llmscope restate list
      llmscope restate list --json
    """
    from ingest_api.database.restatements import list_restatements

    with open_database() as connection:
        restatements = [asdict(one) for one in list_restatements(connection)]
    if as_json:
        print_json([{**one, **_as_strings(one)} for one in restatements])
    else:
        print_table(restatements, COLUMNS)


@app.command()
def request(
    start: FromOption,
    end: ToOption,
    reason: Annotated[str, typer.Option(help="Why; kept beside the figures.")],
    provider: ProviderOption = "",
    model: ModelOption = "",
    project: ProjectOption = "",
    requested_by: Annotated[
        str, typer.Option(help="Who wants it. Default: the user of this terminal.")
    ] = "",
    preview: Annotated[
        bool, typer.Option("--preview", help="Only show what would change.")
    ] = False,
    is_agreed: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Show what would change, ask, and request it; the next build carries it out.

    \b
    Examples:
      llmscope restate request --from 2026-10-01T00:00:00Z --to 2026-11-01T00:00:00Z \\
        --provider openai --model gpt-4o --reason "negotiated price from 1 October" --preview
    """
    from ingest_api.database.restatements import (
        Restatement,
        RestatementError,
        preview_restatement,
        request_restatement,
    )

    period = (read_time("--from", start), read_time("--to", end))
    with open_database() as connection:
        try:
            restatement = Restatement(
                *period,
                reason=reason,
                requested_by=requested_by or getpass.getuser(),
                provider_name=provider or None,
                model=model or None,
                project_id=require_project(connection, project) if project else None,
            )
        except RestatementError as error:
            raise CliError(str(error)) from None
        with built_marts():
            _print_preview(preview_restatement(connection, restatement))
        # No transaction is left open while a person thinks.
        connection.commit()
        if preview or not (is_agreed or typer.confirm("Restate these calls?")):
            typer.echo("Nothing was requested.")
            return
        typer.echo(f"Requested as {request_restatement(connection, restatement)}; "
                   "the next build carries it out.")  # fmt: skip


def _print_preview(preview: "Preview") -> None:
    typer.echo(
        f"It covers {preview.call_count:,} calls and changes {preview.changed_call_count:,}."
    )
    for when, cost, unpriced in (
        ("before", preview.before_cost_usd, preview.before_unpriced_call_count),
        ("after", preview.after_cost_usd, preview.after_unpriced_call_count),
    ):
        usd = "no cost" if cost is None else f"{cost:,.6f} USD"
        typer.echo(f"{when:>6}: {usd}, {unpriced:,} calls unpriced")


def _as_strings(one: dict[str, object]) -> dict[str, object]:
    """Money as text, so that no digit is lost in a float."""
    return {
        name: value if value is None else str(value)
        for name, value in one.items()
        if name.endswith("_usd")
    }
