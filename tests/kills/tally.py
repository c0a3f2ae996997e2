"""What the senders saw."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts over all senders.

    Attributes:
        offered: Batches that were due.
        acknowledged: Numbers of the batches that were answered with 202.
        answers: How often each status, or each kind of failed connection, was seen.
        retries: Times that a batch was sent again.
        rejected: Events that the API rejected as it should.
        longest_outage_seconds: Longest time from the first attempt to the acknowledgement.
        problems: What must not happen, in words.
    """

    offered: int = 0
    acknowledged: set[int] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    rejected: int = 0
    longest_outage_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
