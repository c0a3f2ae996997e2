"""The state of the marts, and whether the pages show it."""

import psycopg

from orchestration.reporting.publishing import Published

# A check that runs after the build changes the data quality page, so its time counts as well.
MARTS_VERSION_SQL = """
select concat_ws(
    ' ',
    extract(epoch from max(refreshed_at)),
    extract(epoch from max(newest_loaded_at)),
    max(call_count),
    (select extract(epoch from max(checked_at)) from app.check_results)
)
from reports.rpt_freshness
"""


def read_marts_version(connection: psycopg.Connection) -> str | None:
    """A text that changes with each build of the marts; None while there are no marts."""
    found = connection.execute("select to_regclass('reports.rpt_freshness')").fetchone()
    if found is None or found[0] is None:
        return None
    row = connection.execute(MARTS_VERSION_SQL).fetchone()
    return str(row[0]) if row else None


def refresh_reason(
    published: Published | None, marts_version: str, shell_fingerprint: str | None
) -> str | None:
    """Why the pages must be published again; None when they show the marts as they are."""
    if published is None:
        return "nothing is published yet"
    if published.marts_version != marts_version:
        return "the marts have changed"
    if published.shell_fingerprint != shell_fingerprint:
        return "the pages themselves have changed"
    return None
