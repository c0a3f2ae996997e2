"""Pure: an alert from its first window to its end, as `app.alert_events` has it."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID, uuid4

import msgspec

from ingest_api.alerts.judging import REASON_WORDS, Judgement
from ingest_api.alerts.rules import AlertRule, StoredRule
from ingest_api.alerts.states import Alert, Step

EpisodeState = Literal["pending", "firing", "resolved", "missed"]


@dataclass(frozen=True)
class Episode:
    """A row; its fields are the columns."""

    alert_event_id: UUID
    rule_id: UUID | None
    tenant_id: UUID
    project_id: UUID | None
    rule_name: str
    severity: str
    group_value: str
    state: EpisodeState
    pending_since: datetime
    window_start: datetime
    window_end: datetime
    threshold: Decimal
    definition: dict[str, Any]
    evaluated_at: datetime
    fired_at: datetime | None = None
    clear_since: datetime | None = None
    resolved_at: datetime | None = None
    resolved_reason: str | None = None
    value: Decimal | None = None
    figure: Decimal | None = None
    baseline: Decimal | None = None
    call_count: int = 0
    fired_value: Decimal | None = None
    query: str | None = None
    channel_ids: list[UUID] = field(default_factory=list)
    told_at: datetime | None = None
    reminder_count: int = 0
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    notes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def alert(self) -> Alert:
        """As the states know it."""
        return Alert(
            state="firing" if self.state == "firing" else "pending",
            pending_since=self.pending_since,
            fired_at=self.fired_at,
            clear_since=self.clear_since,
            told_at=self.told_at,
            reminder_count=self.reminder_count,
            is_acknowledged=self.acknowledged_at is not None,
        )

    @property
    def rule(self) -> AlertRule:
        """The rule as it was when this began."""
        return msgspec.convert(self.definition, AlertRule)


def begin(
    stored: StoredRule, group: str, judgement: Judgement, end: datetime, now: datetime
) -> Episode:
    """An alert whose condition is met for the first time."""
    rule = stored.rule
    new = Episode(
        alert_event_id=uuid4(),
        rule_id=stored.rule_id,
        tenant_id=stored.tenant_id,
        project_id=stored.project_id,
        rule_name=rule.name,
        severity=rule.severity,
        group_value=group,
        state="pending",
        pending_since=end,
        window_start=end - rule.window,
        window_end=end,
        threshold=rule.threshold,
        definition=msgspec.to_builtins(rule),
        evaluated_at=now,
    )
    return see(new, rule, judgement, end, now)


def see(
    episode: Episode, rule: AlertRule, judgement: Judgement, end: datetime, now: datetime
) -> Episode:
    """The same with the figures of another window; what is unknown leaves the last that was."""
    seen = replace(episode, evaluated_at=now, severity=rule.severity, threshold=rule.threshold)
    if judgement.value is None and not judgement.is_quiet:
        return seen
    return replace(
        seen,
        window_start=end - rule.window,
        window_end=end,
        value=judgement.value,
        figure=judgement.figure,
        baseline=judgement.baseline,
        call_count=judgement.call_count,
    )


def take(episode: Episode, step: Step, judgement: Judgement, channel_ids: list[UUID]) -> Episode:
    """The same after a step of its state."""
    alert = step.alert
    if step.change == "resolved":
        return end_of(episode, alert.resolved_at, ended_because(judgement))
    changed = replace(
        episode,
        state="firing" if alert.state == "firing" else "pending",
        pending_since=alert.pending_since or episode.pending_since,
        fired_at=alert.fired_at,
        clear_since=alert.clear_since,
        told_at=alert.told_at,
        reminder_count=alert.reminder_count,
    )
    if step.change == "firing":
        changed = replace(changed, fired_value=judgement.value)
    if step.message == "alert_firing":
        changed = replace(changed, channel_ids=channel_ids)
    return changed


def end_of(episode: Episode, at: datetime | None, reason: str) -> Episode:
    """The same once it is over."""
    return replace(episode, state="resolved", resolved_at=at, resolved_reason=reason)


def ended_because(judgement: Judgement) -> str:
    """Why an alert is over."""
    return REASON_WORDS[judgement.reason] if judgement.reason else "the condition no longer holds"


def note(episode: Episode, at: datetime, text: str) -> Episode:
    """The same with something to be known besides."""
    return replace(episode, notes=[*episode.notes, {"at": at.isoformat(), "text": text}])
