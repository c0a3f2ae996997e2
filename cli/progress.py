"""How far a command is, in one line that is drawn over itself."""

import sys
import time
from typing import TextIO

# Ten times a second is smooth to the eye and costs nothing.
REDRAW_SECONDS = 0.1
BAR_CHARACTERS = 24


class Progress:
    """Draws on a terminal, and is silent elsewhere."""

    def __init__(self, output: TextIO = sys.stderr) -> None:
        """`output` is drawn on if it is a terminal."""
        self._output = output
        self._is_shown = output.isatty()
        self._started = time.monotonic()
        self._drawn_at = 0.0

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    def draw(self, line_count: int, rejected_count: int, done_ratio: float | None) -> None:
        """Show the counts, and the bar where the size of the whole is known."""
        if not self._is_shown or time.monotonic() - self._drawn_at < REDRAW_SECONDS:
            return
        self._drawn_at = time.monotonic()
        self._write(progress_text(line_count, rejected_count, done_ratio, self.seconds))

    def note(self, text: str) -> None:
        """Show something else in the place of the counts."""
        if self._is_shown:
            self._write(text)

    def clear(self) -> None:
        """Take the line away, so that other output starts at its beginning."""
        if self._is_shown:
            self._write("")

    def _write(self, text: str) -> None:
        self._output.write(f"\r\x1b[K{text}")
        self._output.flush()


def progress_text(
    line_count: int, rejected_count: int, done_ratio: float | None, seconds: float
) -> str:
    """Pure: one line of progress. `done_ratio` is from 0 to 1, None where the whole is unknown."""
    rate = line_count / seconds if seconds > 0 else 0.0
    counts = f"{line_count:,} events, {rejected_count:,} rejected, {rate:,.0f} events/s"
    if done_ratio is None:
        return counts
    filled = round(BAR_CHARACTERS * min(1.0, done_ratio))
    bar = "#" * filled + "-" * (BAR_CHARACTERS - filled)
    return f"[{bar}] {min(1.0, done_ratio):4.0%}  {counts}"
