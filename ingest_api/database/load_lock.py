"""The lock under which everything is stamped that a build of the marts must not miss.

Who writes rows or requests holds it while it stamps and commits: shared, so that loaders do not
wait for each other. A build takes it alone for an instant (`orchestration/load_order.py`) to learn
a time before which all is committed. So a stamp must be taken behind the lock.
"""

from datetime import datetime
from typing import Final

import psycopg

LOAD_LOCK: Final = 7233001
STAMP: Final = "select pg_advisory_xact_lock_shared(%s), clock_timestamp()"


def stamp(connection: psycopg.Connection) -> datetime:
    """The time, behind the lock; what is stamped with it must be committed in this transaction."""
    row = connection.execute(STAMP, [LOAD_LOCK]).fetchone()
    assert row is not None  # noqa: S101 - a select without from gives one row
    stamped_at: datetime = row[1]
    return stamped_at
