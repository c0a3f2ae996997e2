"""Pure: how many single calls a question may read."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from ingest_api.analytics.dimensions import NONE, Dimension, Filter
from ingest_api.analytics.problems import beyond
from ingest_api.analytics.sources import Scan

# 20 million calls in 90 days are 9,000 an hour: a second of reading.
MAX_CALL_HOURS: Final = 48
# An index finds the calls of a user, so that two quarters of a few are no more than that.
MAX_CALL_HOURS_OF_USERS: Final = 2 * 93 * 24
FEW_USERS: Final = 10


def max_call_hours(filters: Iterable[Filter]) -> int:
    """For how many hours single calls may be read."""
    users = [one.values for one in filters if one.dimension.name == "user_id"]
    is_of_few = any(len(values) <= FEW_USERS and NONE not in values for values in users)
    return MAX_CALL_HOURS_OF_USERS if is_of_few else MAX_CALL_HOURS


def check_calls(
    scans: Iterable[Scan], dimensions: Iterable[Dimension], filters: Iterable[Filter] = ()
) -> None:
    """Refuse a question that would read too many single calls.

    Raises:
        LimitExceededError: names `max_call_hours` and what made it read calls.
    """
    lengths = [end - start for scan in scans if scan.source.is_calls for start, end in scan.ranges]
    hours = -(-sum(lengths, timedelta()) // timedelta(hours=1))
    maximum = max_call_hours(filters)
    if hours > maximum:
        names = ", ".join(one.name for one in dimensions)
        raise beyond(
            "max_call_hours", maximum, hours,
            f"no roll-up knows all of {names} together (or none its percentiles), so that single "
            "calls are read: ask for a shorter period, whole hours of UTC, fewer dimensions, "
            "measures without latency, or declare the tag among the project's `rollup_tags`.",
        )  # fmt: skip
