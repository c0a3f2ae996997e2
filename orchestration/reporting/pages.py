"""The report pages of this clone as a Dagster resource (key `report_pages`)."""

from pathlib import Path

import dagster as dg

from orchestration.reporting.evidence import SiteFolders

PROJECT = Path(__file__).resolve().parents[2] / "reports"


class ReportPages(dg.ConfigurableResource[None]):
    """Where the pages are built, published and served.

    Attributes:
        home: The state folder, `LLMSCOPE_HOME`.
        public_url: Where people reach the API, which serves the pages under /reports.
        project: The Evidence project.
    """

    home: str
    public_url: str
    project: str = str(PROJECT)

    @property
    def folders(self) -> SiteFolders:
        """The folders of this clone."""
        return SiteFolders(Path(self.project), Path(self.home).resolve() / "reports")

    @property
    def url(self) -> str:
        """Address of the first page."""
        return f"{self.public_url.rstrip('/')}/reports/"
