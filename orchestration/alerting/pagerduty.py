"""Pure: a notification as an event of PagerDuty's Events API, version 2."""

from typing import Any, Final

from orchestration.alerting.requests import HttpRequest, json_request
from orchestration.alerting.wording import GOOD_NEWS, Dispatch, clip, headline, links

MAX_SUMMARY: Final = 1024
MAX_DEDUP_KEY: Final = 255


def pagerduty_request(dispatch: Dispatch, url: str, routing_key: str) -> HttpRequest:
    """The POST."""
    return json_request(url, pagerduty_content(dispatch, routing_key), dispatch)


def pagerduty_content(dispatch: Dispatch, routing_key: str) -> dict[str, Any]:
    """An event that opens an incident, is added to an open one, or closes it.

    PagerDuty itself drops repeats: all of one alert have one `dedup_key`.
    """
    notification = dispatch.notification
    key = notification.dedup_key
    event = {
        "routing_key": routing_key,
        "event_action": "resolve" if notification.kind in GOOD_NEWS else "trigger",
        "dedup_key": key if len(key) <= MAX_DEDUP_KEY else dispatch.thread_id,
    }
    if notification.kind in GOOD_NEWS:
        return event
    return {
        **event,
        "client": "LLMScope",
        "payload": {
            "summary": clip(headline(notification), MAX_SUMMARY),
            "source": "llmscope",
            "severity": notification.severity,
            "timestamp": notification.occurred_at.isoformat(timespec="milliseconds"),
            "custom_details": {"text": notification.text, **dict(notification.figures)},
        },
        "links": [{"href": page.url, "text": page.label} for page in links(notification)],
    }
