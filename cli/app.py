"""The commands under one name: wiring only."""

import typer

from cli import dead_letters, keys, platform, projects
from cli.send import send
from cli.tail import tail

HELP = """LLMScope: the ledger of your LLM calls, from the terminal.

Without settings it talks to the platform of its own clone. LLMSCOPE_URL and LLMSCOPE_API_KEY name
another API for send, tail and dead-letters; DATABASE_URL another database for keys and projects.

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
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(keys.app, name="keys")
app.add_typer(projects.app, name="projects")
