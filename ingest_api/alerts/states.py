"""Pure: what an alert becomes: ok -> pending -> firing -> resolved.

It fires once the condition has held for `for_seconds`, and resolves once it has not held for as
long: a value that goes to and fro within that time changes nothing. Both are measured by the ends
of the judged windows, so that late evaluations decide as punctual ones.

A judgement of which nothing is known (`unpriced`, `no_baseline`, `unreadable`) holds everything
as it is. A window in which nothing happened is quiet: the condition does not hold.

Silence keeps messages back, not states: what fires in silence is told when the silence ends, if it
fires still. The end of what was told is told at once, silence or not.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from ingest_api.alerts.judging import Judgement
from ingest_api.alerts.rules import AlertRule

State = Literal["ok", "pending", "firing"]
Change = Literal["pending", "dropped", "firing", "resolved"]
MessageKind = Literal["alert_firing", "alert_resolved", "alert_reminder"]


@dataclass(frozen=True)
class Alert:
    """One rule and one value of what it is grouped by.

    Attributes:
        pending_since: End of the window that first met the condition.
        fired_at: End of the window that made it fire.
        clear_since: End of the first of the quiet windows since it fired; None while it is met.
        told_at: When somebody was last told, by the clock; None: nobody was.
        reminder_count: Reminders since it fired.
        is_acknowledged: Somebody has seen it, and wants no reminders.
        resolved_at: When an alert of the same key last resolved; cools down.
    """

    state: State = "ok"
    pending_since: datetime | None = None
    fired_at: datetime | None = None
    clear_since: datetime | None = None
    told_at: datetime | None = None
    reminder_count: int = 0
    is_acknowledged: bool = False
    resolved_at: datetime | None = None


@dataclass(frozen=True)
class Step:
    """What a judgement does.

    Attributes:
        change: The transition; None where the state stays.
        message: What is told, if anything.
    """

    alert: Alert
    change: Change | None = None
    message: MessageKind | None = None


OK: Final = Alert()


def step(
    rule: AlertRule,
    alert: Alert,
    judgement: Judgement,
    window_end: datetime,
    now: datetime,
    *,
    is_silent: bool,
) -> Step:
    """What becomes of `alert`.

    Args:
        rule: Its durations.
        alert: As it was.
        judgement: Of the window that ends at `window_end`.
        window_end: By which durations are measured; later than that of the judgement before.
        now: The clock, by which reminders are due.
        is_silent: Whether nobody is to be told now.
    """
    if alert.state == "firing":
        return _firing(rule, alert, judgement, window_end, now, is_silent)
    if judgement.is_met:
        return _met(rule, alert, window_end, now, is_silent)
    if alert.state == "pending" and judgement.is_quiet:
        return Step(Alert(resolved_at=alert.resolved_at), "dropped")
    return Step(alert)


def _met(rule: AlertRule, alert: Alert, at: datetime, now: datetime, is_silent: bool) -> Step:
    since = alert.pending_since or at
    pending = replace(alert, state="pending", pending_since=since)
    if at - since < timedelta(seconds=rule.for_seconds) or _is_cooling(rule, alert, at):
        return Step(pending, "pending" if alert.state == "ok" else None)
    fired = replace(pending, state="firing", fired_at=at, reminder_count=0, is_acknowledged=False)
    if is_silent:
        return Step(replace(fired, told_at=None), "firing")
    return Step(replace(fired, told_at=now), "firing", "alert_firing")


def _is_cooling(rule: AlertRule, alert: Alert, at: datetime) -> bool:
    if alert.resolved_at is None:
        return False
    return at - alert.resolved_at < timedelta(seconds=rule.cool_down_seconds)


def _firing(
    rule: AlertRule,
    alert: Alert,
    judgement: Judgement,
    at: datetime,
    now: datetime,
    is_silent: bool,
) -> Step:
    if judgement.is_met:
        alert = replace(alert, clear_since=None)
    elif judgement.is_quiet:
        since = alert.clear_since or at
        if at - since >= timedelta(seconds=rule.for_seconds):
            return resolve(alert, at)
        alert = replace(alert, clear_since=since)
    return remind(rule, alert, now, is_silent=is_silent)


def resolve(alert: Alert, at: datetime) -> Step:
    """The end of an alert that fires, which is told to those who were told of it."""
    message: MessageKind | None = "alert_resolved" if alert.told_at else None
    return Step(Alert(resolved_at=at), "resolved", message)


def remind(rule: AlertRule, alert: Alert, now: datetime, *, is_silent: bool) -> Step:
    """What the clock alone asks to tell of an alert that fires."""
    if is_silent:
        return Step(alert)
    if alert.told_at is None:
        return Step(replace(alert, told_at=now), None, "alert_firing")
    every = rule.remind_every_seconds
    if every is None or alert.is_acknowledged or now - alert.told_at < timedelta(seconds=every):
        return Step(alert)
    reminded = replace(alert, told_at=now, reminder_count=alert.reminder_count + 1)
    return Step(reminded, None, "alert_reminder")


def is_flipped(then: bool, now: Judgement) -> bool:
    """Whether late data would have decided otherwise: it is noted, and changes no state."""
    return now.is_met != then and (now.is_met or now.is_quiet)
