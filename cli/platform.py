"""`up`, `down`, `status` and `logs`: what `make` runs, under one name."""

from typing import Annotated

import typer

from deploy.local.__main__ import main as run_local


def up(
    only: Annotated[
        str, typer.Option(help="Comma-separated names of the processes to start.")
    ] = "",
) -> None:
    """Run the platform of this clone; Ctrl-C stops it.

    It runs in the foreground; the data stays.

    \b
    Examples:
      llmscope up
      LLMSCOPE_PORT_BASE=8500 llmscope up
      llmscope up --only postgres,redis,api
    """
    raise typer.Exit(run_local(["up", "--only", only]))


def down() -> None:
    """Stop the platform of this clone; the data stays."""
    raise typer.Exit(run_local(["down"]))


def status() -> None:
    """Show each process, its port and its health.

    The exit code is 0 if all are up.
    """
    raise typer.Exit(run_local(["status"]))


def logs(
    processes: Annotated[
        list[str] | None, typer.Argument(help="Names of processes; none for all.")
    ] = None,
) -> None:
    """Follow the logs.

    \b
    Examples:
      llmscope logs
      llmscope logs api code_server
    """
    raise typer.Exit(run_local(["logs", *(processes or [])]))
