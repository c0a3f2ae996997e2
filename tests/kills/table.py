"""The outcomes of experiments as a table."""

from collections.abc import Callable, Mapping
from typing import Final

from tests.kills.batches import BATCH_EVENTS
from tests.kills.disturbances import VICTIMS
from tests.kills.experiment import Outcome

LINES: Final[Mapping[str, Callable[[Outcome], object]]] = {
    "events offered": lambda o: o.tally.offered * BATCH_EVENTS,
    "acknowledged": lambda o: len(o.tally.acknowledged) * BATCH_EVENTS,
    "rows": lambda o: o.verdict.rows,
    "lost": lambda o: o.verdict.lost,
    "doubled": lambda o: o.verdict.doubled,
    "poison rejected by the API": lambda o: o.tally.rejected,
    "poison in dead letters": lambda o: o.verdict.letters,
    "kills": lambda o: ", ".join(f"{name} {o.disturber.kills[name]}" for name in VICTIMS),
    "batches sent again": lambda o: o.tally.retries,
    "answers": lambda o: ", ".join(f"{k} {n}" for k, n in o.tally.answers.most_common()),
    "longest outage of a sender": lambda o: f"{o.tally.longest_outage_seconds:.1f} s",
}


def table(outcomes: Mapping[str, Outcome]) -> str:
    """A block of lines per experiment, one figure a line."""
    blocks = []
    for name, outcome in outcomes.items():
        lines = [f"  {label:<28} {_text(value(outcome))}" for label, value in LINES.items()]
        blocks.append("\n".join([name, *lines]))
    return "\n\n".join(blocks)


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
