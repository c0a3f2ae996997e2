"""Pure: how Evidence is called, and what its output says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

# The folder below `reports/sources/`; its name is part of each variable.
SOURCE = "llmscope"
# 5 s for a month of ten models on two idle cores, 13 s on busy ones; three minutes is a hang.
SOURCES_TIMEOUT_SECONDS = 180.0
# 60 s on two idle cores, 150 s on busy ones, with 3.2 GB of memory at the peak.
BUILD_TIMEOUT_SECONDS = 900.0
FETCH_TIMEOUT_SECONDS = 330.0

# Not through npm, which keeps logs below the user's home.
BUILD_COMMAND = ("node", "scripts/build-site.mjs")
SOURCES_COMMAND = ("node", "scripts/read-sources.mjs")

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_WRITTEN = re.compile(r"wrote ([\d,]+) rows")
_FAILED = re.compile(r"Error in Query|\bError\b|\[!!\]|✖")


@dataclass(frozen=True)
class SiteFolders:
    """Where the pages come from and where they go.

    Attributes:
        project: The Evidence project, `reports/` of the clone.
        state: `$LLMSCOPE_HOME/reports`, all that is written at run time.
    """

    project: Path
    state: Path

    @property
    def shell(self) -> Path:
        """The built pages without data."""
        return self.project / "build"

    @property
    def data(self) -> Path:
        """The parquet files of the newest read."""
        return self.state / "data"

    @property
    def releases(self) -> Path:
        """One folder per shell, named by its fingerprint."""
        return self.state / "releases"

    @property
    def site(self) -> Path:
        """The published site: a symbolic link to one release."""
        return self.state / "site"


def source_environment(database_url: str) -> dict[str, str]:
    """The variables through which Evidence's Postgres connector learns its connection.

    Args:
        database_url: postgresql://user:password@host:port/name; a socket folder may be given as
            `?host=/folder`, and `?sslmode=require` turns TLS on.
    """
    url = urlsplit(database_url)
    query = {key: values[-1] for key, values in parse_qs(url.query).items()}
    options = {
        "host": query.get("host") or url.hostname or "127.0.0.1",
        "port": str(url.port or query.get("port") or 5432),
        "database": unquote(url.path.lstrip("/")),
        "user": unquote(url.username or ""),
        "password": unquote(url.password or ""),
    }
    if query.get("sslmode", "disable") not in {"disable", "allow", "prefer"}:
        options["ssl"] = "true"
    return {f"EVIDENCE_SOURCE__{SOURCE}__{name}": value for name, value in options.items()}


def process_environment(
    inherited: Mapping[str, str], database_url: str, state: Path
) -> dict[str, str]:
    """The whole environment of an Evidence process: what is inherited, the source, the folder."""
    home = {"LLMSCOPE_HOME": str(state.parent.resolve()), "NO_COLOR": "1"}
    return {**inherited, **source_environment(database_url), **home}


def plain_text(output: str) -> str:
    """`output` without colours and cursor movements."""
    return _ANSI.sub("", output)


def failed_lines(output: str) -> list[str]:
    """The lines that tell of a failed query.

    Evidence ends with 0 although a query failed, so its exit code alone says nothing.
    """
    return [line.strip() for line in plain_text(output).splitlines() if _FAILED.search(line)]


def written_row_count(output: str) -> int:
    """The rows of all tables together, as the read reports them."""
    counts = _WRITTEN.findall(plain_text(output))
    return sum(int(count.replace(",", "")) for count in counts)
