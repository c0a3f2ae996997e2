"""A rule judged now, without any effect."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ingest_api.alerts.episodes import begin
from ingest_api.alerts.judging import REASON_WORDS, Judgement
from ingest_api.alerts.messages import template_values
from ingest_api.alerts.reading import Reader
from ingest_api.alerts.rules import StoredRule
from ingest_api.alerts.silences import is_silent
from ingest_api.alerts.templates import fill
from ingest_api.alerts.windows import last_end
from ingest_api.database.alert_rules import project_name

MAX_GROUPS: Final = 100


@dataclass(frozen=True)
class GroupTrial:
    """What a window says of one group, and what would be told of it.

    Attributes:
        reason: Why there is no data, in words; None where there is.
        message: None: the condition is not met.
    """

    group_value: str
    judgement: Judgement
    reason: str | None
    message: str | None


@dataclass(frozen=True)
class Trial:
    """What the newest window says.

    Attributes:
        query: The SQL behind the figures.
        groups: Those that meet the condition first, up to a hundred.
    """

    window_start: datetime
    window_end: datetime
    is_silent: bool
    query: str
    group_count: int
    groups: list[GroupTrial]


def try_rule(reader: Reader, stored: StoredRule, now: datetime) -> Trial | None:
    """Judge the newest window of a rule; None where the marts are not built."""
    complete_until = reader.complete_until(now)
    if complete_until is None:
        return None
    project = project_name(reader.connection, stored.project_id)
    end, rule = last_end(complete_until), stored.rule
    judged = reader.judge([stored], {stored.rule_id: [end]})[stored.rule_id, end]

    def said(group: str, found: Judgement) -> GroupTrial:
        message = None
        if found.is_met:
            episode = begin(stored, group, found, end, now)
            message = fill(rule.message, template_values(rule, episode, project))
        reason = REASON_WORDS[found.reason] if found.reason else None
        return GroupTrial(group, found, reason, message)

    ordered = sorted(judged.items(), key=lambda one: (not one[1].is_met, one[0]))
    return Trial(
        window_start=end - rule.window,
        window_end=end,
        is_silent=is_silent(rule.silences, rule.mutes, now),
        query=reader.query_of(stored, end),
        group_count=len(judged),
        groups=[said(group, found) for group, found in ordered[:MAX_GROUPS]],
    )
