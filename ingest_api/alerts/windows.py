"""Pure: which windows are judged, and when."""

from datetime import datetime, timedelta
from typing import Final

MINUTE: Final = timedelta(minutes=1)
# Events of a minute still arrive when it ends: the SDKs send once a second, a loader takes four.
SETTLE: Final = timedelta(seconds=5)
# After an outage so many windows are caught up with; what lies before is not judged.
MAX_CATCH_UP: Final = 60


def last_end(complete_until: datetime) -> datetime:
    """The end of the newest window whose calls are all in the marts.

    Args:
        complete_until: Every call that was loaded before is in them.
    """
    return (complete_until - SETTLE).replace(second=0, microsecond=0)


def ends_to_judge(
    window: timedelta, judged_until: datetime | None, newest: datetime
) -> list[datetime]:
    """Ends of the windows to judge now, ascending, so that no minute goes unjudged.

    Args:
        window: Length of the rule's window.
        judged_until: End of the window that was judged last; None: the rule is new.
        newest: As `last_end` gives it.
    """
    if judged_until is None:
        return [newest]
    ends: list[datetime] = []
    at = newest
    while at > judged_until and len(ends) < MAX_CATCH_UP:
        ends.append(at)
        at -= window
    return ends[::-1]
