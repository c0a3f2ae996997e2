"""Pure: a notification as an Adaptive Card, for a webhook of Microsoft Teams' Workflows."""

from typing import Any, Final

from ingest_api.database.notifications import Severity
from orchestration.alerting.requests import HttpRequest, json_request
from orchestration.alerting.wording import (
    GOOD_NEWS,
    Dispatch,
    clip,
    context_line,
    headline,
    links,
)

CARD_TYPE: Final = "application/vnd.microsoft.card.adaptive"
CARD_SCHEMA: Final = "http://adaptivecards.io/schemas/adaptive-card.json"
# What Teams renders everywhere, phones included.
CARD_VERSION: Final = "1.4"
# A message may have 28 kB.
MAX_TEXT: Final = 6000
MAX_FACTS: Final = 30
MAX_FACT: Final = 300
COLORS: Final[dict[Severity, str]] = {
    "info": "accent", "warning": "warning", "error": "attention", "critical": "attention",
}  # fmt: skip


def teams_request(dispatch: Dispatch, url: str) -> HttpRequest:
    """The POST."""
    return json_request(url, teams_content(dispatch), dispatch)


def teams_content(dispatch: Dispatch) -> dict[str, Any]:
    """The card in the envelope that Workflows expects."""
    card = {
        "$schema": CARD_SCHEMA,
        "type": "AdaptiveCard",
        "version": CARD_VERSION,
        "msteams": {"width": "Full"},
        "body": _body(dispatch),
        "actions": [
            {"type": "Action.OpenUrl", "title": page.label, "url": page.url}
            for page in links(dispatch.notification)
        ],
    }
    attachment = {"contentType": CARD_TYPE, "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def escape(text: str) -> str:
    """Text in which nothing is a link or emphasis of the card's Markdown."""
    return "".join(f"\\{one}" if one in "\\`*_[]()" else one for one in text)


def _body(dispatch: Dispatch) -> list[dict[str, Any]]:
    notification = dispatch.notification
    is_good = notification.kind in GOOD_NEWS
    title = {
        "size": "large",
        "weight": "bolder",
        "color": "good" if is_good else COLORS[notification.severity],
    }
    facts = [
        {"title": clip(escape(name), MAX_FACT), "value": clip(escape(value), MAX_FACT)}
        for name, value in notification.figures[:MAX_FACTS]
    ]
    return [
        _text(headline(notification), **title),
        # A line break of the text is two in Markdown.
        *([_text(notification.text)] if notification.text else []),
        *([{"type": "FactSet", "facts": facts}] if facts else []),
        _text(context_line(dispatch), isSubtle=True, size="small"),
    ]


def _text(text: str, **style: Any) -> dict[str, Any]:
    words = clip(escape(text), MAX_TEXT).replace("\n", "\n\n")
    return {"type": "TextBlock", "text": words, "wrap": True, **style}
