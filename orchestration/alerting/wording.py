"""Pure: what all channels say alike."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID, uuid5

from ingest_api.database.notifications import Kind, Notification

HEADLINES: Final[dict[Kind, str]] = {
    "alert_firing": "Alert",
    "alert_reminder": "Still firing",
    "alert_resolved": "Resolved",
    "check_failed": "Check fails",
    "check_resolved": "Check passes again",
    "run_failed": "Run failed",
    "test": "Test",
}
GOOD_NEWS: Final[frozenset[Kind]] = frozenset({"alert_resolved", "check_resolved"})
REPEAT_NOTE: Final = "This may be a repeat: an earlier attempt ended without an answer."


class Link(NamedTuple):
    """A page and what to call it."""

    label: str
    url: str


@dataclass(frozen=True)
class Dispatch:
    """A notification on its way to one channel.

    Attributes:
        channel_id: Where it goes.
        may_be_repeat: Whether an earlier attempt ended without an answer.
    """

    notification: Notification
    channel_id: UUID
    may_be_repeat: bool = False

    @property
    def message_id(self) -> str:
        """Letters and digits, the same in every attempt to this channel."""
        return uuid5(self.channel_id, self.notification.idempotency_key).hex

    @property
    def thread_id(self) -> str:
        """Letters and digits, the same for all that is said of one alert in this channel."""
        return uuid5(self.channel_id, f"thread {self.notification.dedup_key}").hex


def headline(notification: Notification) -> str:
    """What has happened, in one line."""
    return one_line(f"{HEADLINES[notification.kind]}: {notification.title}")


def context_line(dispatch: Dispatch) -> str:
    """How bad it is, since when, and whether this may be a repeat."""
    notification = dispatch.notification
    words = [notification.severity, moment(notification.occurred_at)]
    return " · ".join([*words, REPEAT_NOTE] if dispatch.may_be_repeat else words)


def links(notification: Notification) -> list[Link]:
    """Pages to look at; nothing but web pages becomes a link."""
    pages = (
        Link("Chart", notification.chart_url or ""),
        Link("Details", notification.url or ""),
        Link("Runbook", notification.runbook_url or ""),
    )
    return [page for page in pages if is_web_page(page.url)]


def is_web_page(url: str) -> bool:
    """Whether a URL leads to a page and to nothing that runs."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def moment(at: datetime) -> str:
    """A time to the second, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def one_line(text: str) -> str:
    """`text` without line breaks and runs of white space."""
    return " ".join(text.split())


def clip(text: str, max_characters: int) -> str:
    """`text`, cut with an ellipsis where it is longer."""
    return text if len(text) <= max_characters else f"{text[: max_characters - 1]}…"
