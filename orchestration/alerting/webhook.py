"""Pure: a notification for a webhook of one's own, signed as Standard Webhooks describes.

    kind              alert_firing, alert_reminder, alert_resolved, check_failed, check_resolved,
                      run_failed or test
    idempotency_key   the same in every attempt; also sent as a header
    dedup_key         the same in all that is said of one alert
    severity          info, warning, error or critical; of checks error or warn, of runs error
    title, text       one line, and a few
    figures           a list of {name, value}
    occurred_at       RFC 3339, UTC
    url, chart_url, runbook_url   pages, or null
    data              details by kind

What concerns a check or a run also has the fields of `orchestration.alerting.messages` beside
these.
"""

import hmac
from base64 import b64encode
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from ingest_api.database.notifications import Notification
from ingest_api.notifying.kinds import WebhookSecrets, signing_key
from orchestration.alerting.requests import HttpRequest, encode, json_request
from orchestration.alerting.wording import Dispatch

OPERATORS_KINDS: Final = frozenset({"check_failed", "check_resolved", "run_failed"})


def webhook_request(dispatch: Dispatch, secrets: WebhookSecrets, sent_at: datetime) -> HttpRequest:
    """The POST; signed where the channel has a signing secret."""
    content = webhook_content(dispatch.notification)
    signature = {}
    if secrets.signing_secret:
        message_id, timestamp = f"msg_{dispatch.message_id}", str(int(sent_at.timestamp()))
        signature = {
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": sign(
                secrets.signing_secret, message_id, timestamp, encode(content)
            ),
        }
    return json_request(secrets.url, content, dispatch, **signature)


def webhook_content(notification: Notification) -> dict[str, Any]:
    """The body; the same in every attempt."""
    told = notification.data if notification.kind in OPERATORS_KINDS else {}
    return {
        "kind": notification.kind,
        "idempotency_key": notification.idempotency_key,
        "dedup_key": notification.dedup_key,
        "severity": notification.severity,
        "title": notification.title,
        "text": notification.text,
        "figures": [{"name": name, "value": value} for name, value in notification.figures],
        "occurred_at": notification.occurred_at.isoformat(timespec="milliseconds"),
        "url": notification.url,
        "chart_url": notification.chart_url,
        "runbook_url": notification.runbook_url,
        "data": dict(notification.data),
        **told,
    }


def sign(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over id, time and body, as Standard Webhooks 1.0 writes it."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.digest(signing_key(secret), signed, sha256)).decode()
