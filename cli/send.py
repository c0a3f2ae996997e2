"""`llmscope send`: a file or standard input of NDJSON into the platform."""

import shlex
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated, TextIO

import msgspec
import typer

from cli.connection import open_api
from cli.delivery import Rejection, Sender
from cli.errors import REJECTED_EXIT_CODE, CliError
from cli.lines import STDIN, Input, batches, open_input, read_lines
from cli.output import printable
from cli.progress import Progress

# Below LLMSCOPE_MAX_BODY_BYTES (5 MiB); a server with smaller limits is sent halves.
MAX_BATCH_BYTES = 4 * 1024 * 1024
# What a terminal shows; a file holds all.
MAX_SHOWN_REJECTIONS = 20


@dataclass
class Report:
    """Where rejected events are told, and how many lines were acknowledged.

    Attributes:
        rejected_file: One JSON object a rejected line; None shows the first ones on the terminal.
        line_number: All lines up to this one were acknowledged: accepted or rejected.
    """

    progress: Progress
    rejected_file: TextIO | None
    line_number: int = 0
    accepted_count: int = 0
    rejected_count: int = 0

    def add(self, rejected: tuple[Rejection, ...], accepted_count: int, line_number: int) -> None:
        """Take one acknowledged batch in.

        Raises:
            CliError: the file of the rejected lines cannot be written.
        """
        try:
            for rejection in rejected:
                self.rejected_count += 1
                self._tell(rejection)
            if self.rejected_file is not None:
                self.rejected_file.flush()
        except OSError as error:
            raise CliError(f"The rejected lines cannot be written: {error.strerror}.") from None
        self.accepted_count += accepted_count
        self.line_number = line_number

    def _tell(self, rejection: Rejection) -> None:
        if self.rejected_file is not None:
            content = msgspec.json.encode(rejection._asdict()).decode()
            self.rejected_file.write(content + "\n")
        elif self.rejected_count <= MAX_SHOWN_REJECTIONS:
            self.progress.clear()
            field_name = f"{rejection.field}: " if rejection.field else ""
            text = printable(f"line {rejection.line}: {field_name}{rejection.reason}")
            typer.secho(text, fg="yellow", err=True)

    def summary(self) -> str:
        """The counts in a sentence."""
        seconds = self.progress.seconds
        rate = self.accepted_count / seconds if seconds > 0 else 0.0
        return (
            f"{self.accepted_count:,} accepted, {self.rejected_count:,} rejected "
            f"in {seconds:.1f} s ({rate:,.0f} events/s)"
        )


def send(
    file: Annotated[str, typer.Argument(help="NDJSON, plain, .gz or .zst; - for standard input.")],
    batch_events: Annotated[
        int, typer.Option(min=1, max=1000, help="Events in one request, at most.")
    ] = 1000,
    skip: Annotated[int, typer.Option(min=0, help="Lines at the start to leave out.")] = 0,
    rejected: Annotated[
        Path | None,
        typer.Option(help="Write each rejected line here: its number, field and reason as JSON."),
    ] = None,
    give_up_after: Annotated[
        float, typer.Option(min=0, help="Seconds without any answer after which it ends.")
    ] = 300.0,
) -> None:
    """Send a file of events and wait until each is on disk.

    The file has one JSON object a line.

    An event without event_id gets one from its line and its place in the file, so that the same
    file can be sent again: an event is one row. While the API is away or busy it is asked again,
    ever more rarely. Fields: docs/events.md.

    The exit code is 0 if every event was accepted, 2 if some were rejected, 1 if it could not go
    on, 130 after Ctrl-C; the last two say how to go on.

    \b
    Examples:
      llmscope send events.ndjson
      llmscope send events.ndjson.zst --rejected rejected.ndjson
      llmscope send events.ndjson --skip 120000
      jq -c '.[]' events.json | llmscope send -
    """
    with ExitStack() as stack:
        report = Report(Progress(), stack.enter_context(_open_rejected(rejected)), skip)
        try:
            with _interrupted_by_sigterm():
                _send_all(file, batch_events, skip, give_up_after, report)
        except (CliError, KeyboardInterrupt) as error:
            report.progress.clear()
            _explain_stop(file, report)
            if isinstance(error, CliError):
                raise
            raise typer.Exit(130) from None
    report.progress.clear()
    typer.echo(report.summary(), err=True)
    if report.rejected_count:
        raise typer.Exit(REJECTED_EXIT_CODE)


def _send_all(
    file: str, batch_events: int, skip: int, give_up_seconds: float, report: Report
) -> None:
    def tell_wait(seconds: float, problem: str) -> None:
        report.progress.note(f"waiting {seconds:.1f} s: {problem}")

    with open_api() as client, open_input(file) as source:
        sender = Sender(client, give_up_seconds, tell_wait)
        lines = read_lines(source.stream, skip)
        for batch in batches(lines, batch_events, MAX_BATCH_BYTES):
            delivered = sender.send(batch)
            report.add(delivered.rejected, delivered.accepted_count, batch.last_number)
            line_count = report.accepted_count + report.rejected_count
            report.progress.draw(line_count, report.rejected_count, _done_ratio(source))


def _done_ratio(source: Input) -> float | None:
    return source.raw.tell() / source.byte_count if source.byte_count else None


@contextmanager
def _open_rejected(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    try:
        opened = path.open("w")
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}.") from None
    with opened:
        yield opened


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Make SIGTERM end the command as Ctrl-C does, which says how to go on."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _explain_stop(file: str, report: Report) -> None:
    name = STDIN if file == STDIN else shlex.quote(file)
    typer.echo(
        f"Stopped: {report.summary()}. All lines up to {report.line_number:,} are acknowledged; "
        f"go on with `llmscope send {name} --skip {report.line_number}`.",
        err=True,
    )
