"""The terminal's way in; the Makefile calls it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping

from deploy.local import commands, postgres, runner
from deploy.local.becoming import become
from deploy.local.environment import (
    ROOT,
    merged_settings,
    platform_from,
    process_environment,
    read_dotenv,
)
from deploy.local.errors import SetupError


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local")
    parser.add_argument("--home", help="folder of the data instead of LLMSCOPE_HOME")
    parser.add_argument("--port-base", help="first port instead of LLMSCOPE_PORT_BASE")
    kinds = parser.add_subparsers(dest="command", required=True)
    up = kinds.add_parser("up", help="run in the foreground")
    up.add_argument("--only", default="", help="comma-separated names of processes")
    logs = kinds.add_parser("logs", help="follow the logs")
    logs.add_argument("processes", nargs="*")
    run = kinds.add_parser("run", help="run a command in the environment of the processes")
    run.add_argument("arguments", nargs=argparse.REMAINDER)
    for name in ("down", "reset", "status", "psql"):
        kinds.add_parser(name)
    return parser.parse_args(arguments)


def settings_from(options: argparse.Namespace, environment: Mapping[str, str]) -> dict[str, str]:
    """Argument, then environment, then `.env`."""
    dotenv = ROOT / ".env"
    given = read_dotenv(dotenv.read_text()) if dotenv.exists() else {}
    arguments = {"LLMSCOPE_HOME": options.home, "LLMSCOPE_PORT_BASE": options.port_base}
    chosen = {name: value for name, value in arguments.items() if value}
    return {**merged_settings(given, environment), **chosen}


def execute(options: argparse.Namespace, settings: dict[str, str]) -> int:
    """Run the command of `options`."""
    platform = platform_from(settings)
    match options.command:
        case "up":
            only = [name for name in options.only.split(",") if name]
            return runner.run(platform, only, settings)
        case "down":
            return commands.down(platform)
        case "reset":
            return commands.reset(platform, settings.get("CONFIRM") == "yes")
        case "status":
            return commands.status(platform, settings)
        case "logs":
            return become(commands.logs_command(platform, options.processes))
        case "psql":
            command, url = commands.psql_command(platform, settings)
            # In the environment, because arguments can be read by other users.
            return become(command, {**os.environ, **postgres.client_environment(url)})
        case _:
            password = postgres.stored_password(platform)
            return become(options.arguments, process_environment(platform, password, settings))


def main(arguments: list[str]) -> int:
    """Run one command; a SetupError becomes its sentence and the exit code 1."""
    try:
        options = parse_arguments(arguments)
        return execute(options, settings_from(options, os.environ))
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
