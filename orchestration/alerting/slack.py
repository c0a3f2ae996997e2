"""Pure: a notification as the blocks of a Slack message, for an incoming webhook."""

from typing import Any, Final

from ingest_api.database.notifications import Notification
from orchestration.alerting.requests import HttpRequest, json_request
from orchestration.alerting.wording import (
    GOOD_NEWS,
    Dispatch,
    Link,
    clip,
    context_line,
    headline,
    links,
)

# Slack refuses a message that has more.
MAX_HEADER: Final = 150
MAX_SECTION: Final = 3000
MAX_FIELD: Final = 2000
MAX_FIELDS: Final = 10
# With them a message stays below Slack's 50 blocks.
MAX_FIGURES: Final = 100
EMOJI: Final = {"info": "🔵", "warning": "🟡", "error": "🔴", "critical": "🔥"}


def slack_request(dispatch: Dispatch, url: str) -> HttpRequest:
    """The POST."""
    return json_request(url, slack_content(dispatch), dispatch)


def slack_content(dispatch: Dispatch) -> dict[str, Any]:
    """Title, text, figures as fields, a link to the chart, buttons, and what it is about."""
    notification = dispatch.notification
    sign = "✅" if notification.kind in GOOD_NEWS else EMOJI[notification.severity]
    title = clip(f"{sign} {headline(notification)}", MAX_HEADER)
    pages = links(notification)
    blocks = [
        {"type": "header", "text": _plain(title)},
        *_text_blocks(notification, pages),
        *_field_blocks(notification),
        *_button_blocks(pages),
        {"type": "context", "elements": [_plain(context_line(dispatch))]},
    ]
    # Notifications of phones and screen readers show `text` alone.
    return {"text": escape(title), "blocks": blocks}


def escape(text: str) -> str:
    """Text in which nothing is a mention, a link or markup of Slack's."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": True}


def _text_blocks(notification: Notification, pages: list[Link]) -> list[dict[str, Any]]:
    words = clip(escape(notification.text), MAX_SECTION - 1000)
    charts = [f"<{_link(page.url)}|See the chart>" for page in pages if page.label == "Chart"]
    text = clip("\n".join(part for part in (words, *charts) if part), MAX_SECTION)
    return [{"type": "section", "text": {"type": "mrkdwn", "text": text}}] if text else []


def _field_blocks(notification: Notification) -> list[dict[str, Any]]:
    fields = [
        {"type": "mrkdwn", "text": clip(f"*{escape(name)}*\n{escape(value)}", MAX_FIELD)}
        for name, value in notification.figures[:MAX_FIGURES]
    ]
    return [
        {"type": "section", "fields": fields[start : start + MAX_FIELDS]}
        for start in range(0, len(fields), MAX_FIELDS)
    ]


def _button_blocks(pages: list[Link]) -> list[dict[str, Any]]:
    buttons = [
        {"type": "button", "text": _plain(page.label), "url": page.url}
        for page in pages
        if page.label != "Chart" and len(page.url) <= MAX_SECTION
    ]
    return [{"type": "actions", "elements": buttons}] if buttons else []


def _link(url: str) -> str:
    return escape(url).replace("|", "%7C")
