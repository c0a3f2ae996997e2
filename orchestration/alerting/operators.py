"""Pure: what the operators' channels are told of a check or a run."""

from datetime import datetime
from typing import Final

from ingest_api.database.notifications import Notification, Severity
from orchestration.alerting.messages import Message

SEVERITIES: Final[dict[str, Severity]] = {"warn": "warning", "error": "error"}
MAX_SAMPLE_IDS: Final = 5


def notification_of(message: Message) -> Notification:
    """The notification that tells `message`; a webhook gets the fields of that beside its own."""
    subject = f"{message.asset}:{message.check}" if message.check else message.run_id or ""
    return Notification(
        kind=message.kind,
        idempotency_key=message.idempotency_key,
        severity=SEVERITIES.get(message.severity, "error"),
        title=_title(message),
        text=message.description,
        figures=_figures(message),
        occurred_at=datetime.fromisoformat(message.occurred_at),
        dedup_key=f"{'check' if message.check else 'run'}/{subject}",
        url=message.url,
        data=message.payload(),
    )


def _title(message: Message) -> str:
    return f"{message.check} on {message.asset}" if message.check else message.job or "a run"


def _figures(message: Message) -> tuple[tuple[str, str], ...]:
    counts = [(name.replace("_", " "), f"{value:,}") for name, value in message.counts.items()]
    sample = ", ".join(message.sample_ids[:MAX_SAMPLE_IDS])
    return (*counts, *([("sample ids", sample)] if sample else []))
