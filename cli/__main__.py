"""`llmscope`, also `python -m cli`."""

import sys
from collections.abc import Sequence

import typer

from cli.app import app
from cli.errors import CliError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the program with its exit code; an error is one sentence."""
    try:
        app(args=arguments, prog_name="llmscope")
    except CliError as error:
        typer.secho(f"llmscope: {error}", fg="red", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
