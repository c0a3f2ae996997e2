"""The lock that makes `loaded_at` an exact watermark.

A loader holds it shared while it stamps and commits rows. A build takes it alone for an instant:
when it has it, every row stamped before is committed, and every later row gets a later stamp.
"""

from datetime import datetime

import psycopg

from ingest_api.database.load_lock import LOAD_LOCK


def read_loaded_before(connection: psycopg.Connection) -> datetime:
    """A time before which every loaded row is committed and visible; waits for running loads."""
    with connection.transaction():
        row = connection.execute(
            "select pg_advisory_xact_lock(%s), clock_timestamp()", [LOAD_LOCK]
        ).fetchone()
    assert row is not None  # noqa: S101 - a select without from gives one row
    loaded_before: datetime = row[1]
    return loaded_before
