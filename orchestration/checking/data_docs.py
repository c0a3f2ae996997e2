"""Publishes the pages of quality runs, so that a reader never meets half of one.

A run is written beside the others and renamed when it is complete; then the list of runs is
replaced in one step, and the oldest runs go.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import dagster as dg

if TYPE_CHECKING:
    from quality.data_docs import RunDocs, RunSummary
    from quality.validation import Validation

SUMMARY: Final = "summary.json"


class DataDocs(dg.ConfigurableResource[None]):
    """Where the pages of quality runs are kept and served.

    Attributes:
        home: The state folder, `LLMSCOPE_HOME`.
        public_url: Where people reach the API, which serves the pages under /reports/data-docs.
        dagster_url: Where people reach the Dagster UI.
        kept_runs: Runs whose pages are kept; the oldest go first.
    """

    home: str
    public_url: str
    dagster_url: str
    kept_runs: int

    @property
    def folder(self) -> Path:
        """The folder that is served."""
        return Path(self.home).resolve() / "data-docs"

    @property
    def report_url(self) -> str:
        """The report page on quality over time."""
        return f"{self.public_url.rstrip('/')}/reports/data-quality/"

    def run_url(self, run_id: str) -> str:
        """A run in the Dagster UI."""
        return f"{self.dagster_url.rstrip('/')}/runs/{run_id}"

    def rule_url(self, run_name: str, rule_name: str) -> str:
        """What a run found about a rule."""
        base = f"{self.public_url.rstrip('/')}/reports/data-docs"
        return f"{base}/{quote(run_name)}/#{rule_name}"


def publish(docs: DataDocs, run: "RunDocs", validations: "Sequence[Validation]") -> None:
    """Publish the pages of a run, in the place of those that a repetition of it finds."""
    from quality.data_docs import index_page, run_page, summarise

    docs.folder.mkdir(parents=True, exist_ok=True)
    unfinished = docs.folder / f".{run.name}.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    (unfinished / "index.html").write_text(run_page(run, validations))
    (unfinished / SUMMARY).write_text(json.dumps(asdict(summarise(run, validations))))
    shutil.rmtree(docs.folder / run.name, ignore_errors=True)
    unfinished.rename(docs.folder / run.name)
    runs = _read_runs(docs.folder)
    _write_atomically(docs.folder / "index.html", index_page(runs[: docs.kept_runs]))
    for old in runs[docs.kept_runs :]:
        shutil.rmtree(docs.folder / old.folder)


def _read_runs(folder: Path) -> "list[RunSummary]":
    """The complete runs, newest first."""
    from quality.data_docs import RunSummary

    runs = [RunSummary(**json.loads(file.read_text())) for file in folder.glob(f"[!.]*/{SUMMARY}")]
    return sorted(runs, key=lambda run: (run.checked_at, run.folder), reverse=True)


def _write_atomically(path: Path, content: str) -> None:
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.write_text(content)
    unfinished.replace(path)
