"""`python -m deploy.demo send` and `python -m deploy.demo remove`; the Makefile calls them."""

from __future__ import annotations

import argparse
import sys

import psycopg

from deploy.demo import commands
from deploy.demo.errors import DemoError
from ingest_api.settings import Settings, SettingsError, read_settings

MAX_DAYS = 366
NO_DATABASE = "The database does not answer: start LLMScope with `make up`."
NO_TABLES = "The database has no tables yet: start LLMScope with `make up`."


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.demo")
    kinds = parser.add_subparsers(dest="command", required=True)
    send = kinds.add_parser("send", help="send a history, then a live trickle")
    send.add_argument("--days", type=_days, default=30, help="length of the history")
    send.add_argument("--seed", type=int, default=1, help="another seed is another history")
    send.add_argument("--no-live", action="store_true", help="stop after the history")
    send.add_argument("--api-url", help="where the API answers, instead of LLMSCOPE_API_PORT")
    kinds.add_parser("remove", help="delete everything that was sent")
    return parser.parse_args(arguments)


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_DAYS:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {MAX_DAYS}")
    return int(text)


def execute(options: argparse.Namespace, settings: Settings) -> None:
    """Run the command of `options`."""
    if options.command == "remove":
        commands.remove(settings)
        return
    api_url = options.api_url or f"http://127.0.0.1:{settings.api_port}"
    is_live = not options.no_live
    commands.send(settings, commands.SendOptions(api_url, options.days, options.seed, is_live))


def main(arguments: list[str]) -> int:
    """Run one command; what stops it becomes one sentence and the exit code 1."""
    options = parse_arguments(arguments)
    try:
        execute(options, read_settings())
    except (DemoError, SettingsError) as error:
        problem = str(error)
    except psycopg.OperationalError:
        problem = NO_DATABASE
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        problem = NO_TABLES
    except KeyboardInterrupt:
        problem = "Stopped. Sending again adds only what is missing."
    else:
        return 0
    print(problem, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
