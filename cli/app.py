"""The commands under one name: wiring only."""

import typer

from cli import (
    alerts,
    analytics,
    bi,
    budgets,
    channels,
    dead_letters,
    export,
    held_events,
    keys,
    platform,
    prices,
    projects,
    restate,
)
from cli.send import send
from cli.tail import tail

HELP = """LLMScope: the ledger of your LLM calls, from the terminal.

Without settings it talks to the platform of its own clone. LLMSCOPE_URL and LLMSCOPE_API_KEY name
another API for send, tail, top, costs and dead-letters; DATABASE_URL another database for the
other commands.

\b
Exit codes:
  0    all is well
  1    it could not go on; the sentence on standard error says why and what to do
  2    the command line was wrong, or some events or letters were rejected
  130  stopped by Ctrl-C
"""

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    # Plain help wraps sentences and shows the names of options whole; rich does neither.
    rich_markup_mode=None,
    # An error is a sentence; a traceback is for a fault of ours, and then plain.
    pretty_exceptions_enable=False,
)
for command in (platform.up, platform.down, platform.status, platform.logs):
    app.command()(command)
app.command()(send)
app.command()(tail)
app.command()(analytics.top)
app.command()(analytics.costs)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(held_events.app, name="held-events")
app.add_typer(keys.app, name="keys")
app.add_typer(prices.app, name="prices")
app.add_typer(projects.app, name="projects")
app.add_typer(budgets.app, name="budgets")
app.add_typer(channels.app, name="channels")
app.add_typer(alerts.app, name="alerts")
app.add_typer(bi.app, name="bi")
app.add_typer(export.app, name="export")
app.add_typer(restate.app, name="restate")
