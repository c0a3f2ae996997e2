"""Pure: validations of Great Expectations as HTML pages.

Great Expectations' own pages load their style and scripts from five hosts and are blank without
them; these carry all they need. They hold ids, counts and our own sentences, never a value that a
sender chose: no prompt, no name of a person, not even the name of a model.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

from great_expectations.core import ExpectationValidationResult

from quality.suites import Outcome, Severity
from quality.validation import Validation

PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 14px/1.5 system-ui, sans-serif; color: #1f2933; margin: 2rem auto; max-width: 72rem;
  padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.15rem; margin-top: 2.5rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: .45rem .6rem;
  border-bottom: 1px solid #e1e5ea; }}
th {{ color: #52606d; font-weight: 600; }}
.number {{ text-align: right; white-space: nowrap; }}
.badge {{ border-radius: .25rem; padding: .1rem .45rem; white-space: nowrap; }}
.passed {{ background: #d9f2e3; color: #0b5c33; }}
.warning {{ background: #fdeec8; color: #7a4d00; }}
.failed {{ background: #fbdada; color: #8f1d1d; }}
.meaning, footer {{ color: #52606d; }} code {{ font-size: .85em; overflow-wrap: anywhere; }}
</style></head><body>
{body}
<footer><p><small>{footer}</small></p></footer>
</body></html>
"""
BADGES: Final = {"passed": "passed", "warning": "warning", "failed": "FAILED"}


@dataclass(frozen=True)
class RunDocs:
    """What the pages say of the run itself.

    Attributes:
        name: Unique, and the name of its folder.
        url: Where the run is looked at.
    """

    name: str
    checked_at: datetime
    url: str


@dataclass(frozen=True)
class RunSummary:
    """One run in the list of runs.

    Attributes:
        folder: Its name.
        checked_at: UTC, for people.
    """

    folder: str
    checked_at: str
    passed_count: int
    warning_count: int
    failed_count: int


def summarise(run: RunDocs, validations: Iterable[Validation]) -> RunSummary:
    """How many rules hold."""
    states = [state_of(outcome) for one in validations for outcome in one.outcomes]
    counts = [states.count(state) for state in BADGES]
    return RunSummary(run.name, f"{run.checked_at:%Y-%m-%d %H:%M:%S}", *counts)


def state_of(outcome: Outcome) -> str:
    """`passed`, `warning` or `failed`."""
    if outcome.is_passed:
        return "passed"
    return "failed" if outcome.rule.severity is Severity.ERROR else "warning"


def run_page(run: RunDocs, validations: Sequence[Validation]) -> str:
    """The page of one run: each suite with its rules, broken ones first."""
    title = f"Data quality, {run.checked_at:%Y-%m-%d %H:%M:%S} UTC"
    parts = [
        '<p><a href="../">All runs</a> · '
        f'<a href="{escape(run.url)}">This run in Dagster</a></p><h1>{title}</h1>',
        *map(_suite_section, validations),
    ]
    version = validations[0].result.meta["great_expectations_version"] if validations else ""
    return PAGE.format(
        title=title,
        body="\n".join(parts),
        footer=f"Validated by Great Expectations {escape(version)}. Ids and counts only.",
    )


def index_page(runs: Iterable[RunSummary]) -> str:
    """The list of all kept runs, in the order given."""
    rows = "".join(
        f'<tr><td><a href="{escape(run.folder)}/">{escape(run.checked_at)}</a></td>'
        f'<td class="number">{run.passed_count}</td>'
        f'<td class="number">{_badge_count("warning", run.warning_count)}</td>'
        f'<td class="number">{_badge_count("failed", run.failed_count)}</td></tr>'
        for run in runs
    )
    body = (
        '<p><a href="/reports/data-quality/">Report page on data quality</a></p>'
        "<h1>Data quality, run by run</h1><table><tr><th>Checked, UTC</th>"
        '<th class="number">Passed</th><th class="number">Warnings</th>'
        f'<th class="number">Failed</th></tr>{rows}</table>'
    )
    return PAGE.format(title="Data quality, run by run", body=body, footer="Newest first.")


def _suite_section(validation: Validation) -> str:
    statistics = validation.result.statistics
    by_rule = {
        one.expectation_config.kwargs["rule_name"]: one
        for one in validation.result.results
        if one.expectation_config is not None
    }
    order = sorted(
        validation.outcomes, key=lambda one: list(BADGES).index(state_of(one)), reverse=True
    )
    rows = "".join(_rule_row(one, by_rule[one.rule.name]) for one in order)
    return (
        f'<h2 id="{validation.suite.name}">{validation.suite.name}</h2>'
        f"<p>{statistics['successful_expectations']} of {statistics['evaluated_expectations']} "
        f"expectations are met ({_checked(validation)}).</p>"
        '<table><tr><th></th><th>Rule</th><th class="number">Broken</th>'
        f'<th class="number">Share</th><th>Ids of some</th></tr>{rows}</table>'
    )


def _checked(validation: Validation) -> str:
    counts = {one.checked_count for one in validation.outcomes}
    return f"{max((count or 0) for count in counts):,} {validation.suite.unit} looked at"


def _rule_row(outcome: Outcome, result: ExpectationValidationResult) -> str:
    state = state_of(outcome)
    found = result.result
    ids = " ".join(f"<code>{escape(one)}</code>" for one in found["partial_unexpected_list"][:5])
    sentence = outcome.rule.name.replace("_", " ").capitalize()
    return (
        f'<tr id="{outcome.rule.name}"><td><span class="badge {state}">{BADGES[state]}</span></td>'
        f'<td>{sentence}<div class="meaning">{escape(outcome.rule.description)}</div></td>'
        f'<td class="number">{found["unexpected_count"]:,}</td>'
        f'<td class="number">{found["unexpected_percent"]:.2f} %</td><td>{ids}</td></tr>'
    )


def _badge_count(state: str, count: int) -> str:
    return f'<span class="badge {state}">{count}</span>' if count else "0"
