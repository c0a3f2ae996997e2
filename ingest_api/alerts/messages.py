"""Pure: what the channels of a rule are told."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from ingest_api.alerts import words
from ingest_api.alerts.episodes import Episode
from ingest_api.alerts.metrics import Family
from ingest_api.alerts.rules import SEVERITIES, AlertRule, Severity
from ingest_api.alerts.states import MessageKind
from ingest_api.alerts.templates import fill
from ingest_api.database.notifications import Notification

PAGES: Final[dict[Family, str]] = {
    "usage": "usage", "duration": "errors-and-latency",
    "time_to_first_chunk": "errors-and-latency", "dead_letters": "data-quality",
    "lag": "data-quality", "budget": "budgets", "anomaly": "usage",
}  # fmt: skip
CHECKED_ASSET: Final = "marts/fct_usage_minutely"
CHECKS: Final[dict[Severity, str]] = {one: f"no_{one}_alert_fires" for one in SEVERITIES}
TITLES: Final[dict[MessageKind, str]] = {
    "alert_firing": "{name}: {value}",
    "alert_reminder": "Still firing: {name}: {value}",
    "alert_resolved": "Resolved: {name}",
}


@dataclass(frozen=True)
class Links:
    """Where people reach the platform."""

    public_url: str
    dagster_url: str

    def check(self, severity: Severity) -> str:
        """The page of the asset check that fails while such an alert fires."""
        view = urlencode({"view": "checks", "checkDetail": CHECKS[severity]})
        return f"{self.dagster_url.rstrip('/')}/assets/{quote(CHECKED_ASSET)}?{view}"

    def chart(self, family: Family) -> str:
        """The report page that draws the figure."""
        return f"{self.public_url.rstrip('/')}/reports/{PAGES[family]}/"


def notification(
    kind: MessageKind, episode: Episode, project: str, now: datetime, links: Links
) -> Notification:
    """What is told of an alert."""
    rule = episode.rule
    number = f"/{episode.reminder_count}" if kind == "alert_reminder" else ""
    named = f"{rule.name} ({episode.group_value})" if episode.group_value else rule.name
    title = fill(TITLES[kind], {"name": named, "value": words.compared(rule, episode.value)})
    return Notification(
        kind=kind,
        idempotency_key=f"{kind}/{episode.alert_event_id}{number}",
        severity=rule.severity,
        title=title,
        text=_text(kind, rule, episode, project),
        figures=tuple(_figures(kind, rule, episode, project)),
        occurred_at=now,
        dedup_key=f"alert/{episode.alert_event_id}",
        url=links.check(rule.severity),
        chart_url=links.chart(rule.kind.family),
        runbook_url=rule.runbook_url,
        data=_data(rule, episode, project),
    )


def template_values(rule: AlertRule, episode: Episode, project: str) -> dict[str, str]:
    """What the placeholders of a message stand for."""
    return {
        "rule": rule.name,
        "metric": rule.kind.words,
        "group": episode.group_value,
        "value": words.compared(rule, episode.value),
        "threshold": words.compared(rule, rule.threshold),
        "direction": rule.direction,
        "window": words.duration(rule.window),
        "scope": words.scope(rule, project),
        "severity": rule.severity,
        "calls": f"{episode.call_count:,}",
        "started_at": words.instant(episode.pending_since),
    }


def _text(kind: MessageKind, rule: AlertRule, episode: Episode, project: str) -> str:
    text = fill(rule.message, template_values(rule, episode, project))
    if kind == "alert_resolved":
        lasted = words.duration((episode.resolved_at or episode.window_end) - episode.pending_since)
        return f"Over after {lasted}: {episode.resolved_reason}.\n{text}"
    return text


def _figures(
    kind: MessageKind, rule: AlertRule, episode: Episode, project: str
) -> list[tuple[str, str]]:
    found = [
        ("value", words.compared(rule, episode.value)),
        ("threshold", f"{rule.direction} {words.compared(rule, rule.threshold)}"),
    ]
    if kind == "alert_resolved":
        found.append(("value when it fired", words.compared(rule, episode.fired_value)))
    if rule.compare_to:
        found.append(("now", words.amount(episode.figure, rule.kind.unit)))
        found.append(
            (words.BEFORE[rule.compare_to], words.amount(episode.baseline, rule.kind.unit))
        )
    window = f"{words.instant(episode.window_start)} to {words.instant(episode.window_end)}"
    found += [("window", window), ("scope", words.scope(rule, project))]
    if episode.group_value:
        found.append((str(rule.group_by or "budget"), episode.group_value))
    if episode.call_count:
        found.append(("calls", f"{episode.call_count:,}"))
    return found


def _data(rule: AlertRule, episode: Episode, project: str) -> dict[str, Any]:
    return {
        "alert_event_id": str(episode.alert_event_id),
        "rule": rule.name,
        "project": project,
        "metric": rule.metric,
        "direction": rule.direction,
        "group_by": rule.group_by,
        "group_value": episode.group_value,
        "value": None if episode.value is None else str(episode.value),
        "fired_value": None if episode.fired_value is None else str(episode.fired_value),
        "threshold": str(rule.threshold),
        "call_count": episode.call_count,
        "window_start": episode.window_start.isoformat(),
        "window_end": episode.window_end.isoformat(),
    }
