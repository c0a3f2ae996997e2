"""`make bench-cost`: exact, wrong and unpriced costs by provider and feature, ours and others'.

The measure is `genai_prices.calc_price` with the installed catalog, for what the answer itself
says was used. A difference of another tool has two causes that the table does not tell apart: its
price list is another, or it does not price the feature.
"""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

import genai_prices
import psycopg

from benchmarks.cost.calls import Call, made_calls, recorded_calls
from benchmarks.cost.tools import OTHERS, Costs, price_with_others, versions
from dbt_project.golden.ledger import create_project, dbt, insert_events
from ingest_api.database.migrate import migrate
from orchestration.pricing.catalog import bundled_catalog
from orchestration.pricing.refresh import refresh_prices
from tests.running import run_platform
from tests.traffic import corpus

TOLERANCE_USD: Final = Decimal("1e-9")
OURS: Final = "llmscope"
TOOLS: Final = (OURS, *OTHERS)
COSTS: Final = "select event_id::text, total_cost_usd from marts.fct_llm_calls"


class Tally(NamedTuple):
    """How a tool did: calls, and USD by which the wrong ones are off."""

    verdicts: Counter[str]
    off_usd: Decimal


def price_with_ledger(calls: Sequence[Call]) -> Costs:
    """What the SQL of a real database says, by call."""
    with tempfile.TemporaryDirectory() as folder, running_postgres(Path(folder)) as url:
        migrate(url)
        with psycopg.connect(url) as connection:
            create_project(connection)
            insert_events(connection, [call.event for call in calls])
            refresh_prices(connection, bundled_catalog(), datetime.now(UTC) + timedelta(hours=1))
        dbt(url, Path(folder) / "dbt", "run", "--select", "+fct_llm_calls")
        with psycopg.connect(url) as connection:
            return {one: {OURS: usd} for one, usd in connection.execute(COSTS)}


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """URL of a database that lives as long as the block."""
    with run_platform(folder, only=["postgres"]) as running:
        yield running.database_url


def verdict(usd: Decimal | None, expected: Decimal) -> str:
    """Whether a cost is exact, wrong, or none at all; a zero for a call that costs is wrong."""
    if usd is None:
        return "unpriced"
    return "exact" if abs(usd - expected) <= TOLERANCE_USD else "wrong"


def tally(calls: Sequence[Call], costs: Costs, tool: str) -> Tally:
    """How a tool did on some calls."""
    found = [(costs[call.call_id][tool], call.expected) for call in calls]
    verdicts = Counter(verdict(usd, expected) for usd, expected in found)
    return Tally(verdicts, sum((abs(u - e) for u, e in found if u is not None), Decimal(0)))


def table(title: str, calls: Sequence[Call], costs: Costs, group: Callable[[Call], str]) -> str:
    """A line per group, and one for all."""
    groups: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        groups[group(call)].append(call)
    lines = [
        _line(name, members, costs)
        for name, members in sorted(groups.items(), key=lambda one: -len(one[1]))
    ]
    head = f"| {title} | calls | {' | '.join(f'{t}: exact, wrong, unpriced' for t in TOOLS)} |"
    return "\n".join([head, "|---|---|" + "---|" * len(TOOLS), *lines, _line("all", calls, costs)])


def _line(name: str, calls: Sequence[Call], costs: Costs) -> str:
    cells = []
    for tool in TOOLS:
        verdicts, _ = tally(calls, costs, tool)
        cells.append(" / ".join(str(verdicts[one]) for one in ("exact", "wrong", "unpriced")))
    return f"| {name} | {len(calls)} | {' | '.join(cells)} |"


def main() -> int:
    """Price all calls with all tools and print the tables."""
    now = datetime.now(UTC).replace(microsecond=0)
    calls = [*recorded_calls(corpus(), now), *made_calls(now)]
    ours, others = price_with_ledger(calls), price_with_others(calls)
    costs: Costs = {call.call_id: {**ours[call.call_id], **others[call.call_id]} for call in calls}
    print(f"{len(calls)} calls; genai-prices {genai_prices.__version__}, {versions()}\n")
    print(table("feature", calls, costs, lambda call: call.feature), end="\n\n")
    print(table("provider", calls, costs, lambda call: call.provider), end="\n\n")
    spent = sum((call.expected for call in calls), Decimal(0))
    for tool in TOOLS:
        print(f"{tool}: off by {tally(calls, costs, tool).off_usd:.6f} of {spent:.6f} USD")
    return 0 if tally(calls, costs, OURS).verdicts["exact"] == len(calls) else 1


if __name__ == "__main__":
    raise SystemExit(main())
