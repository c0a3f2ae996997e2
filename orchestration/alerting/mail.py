"""Pure: a notification as a mail with a plain and an HTML part."""

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import Final

from ingest_api.database.notifications import Notification
from ingest_api.notifying.kinds import EmailSettings
from orchestration.alerting.requests import header_value
from orchestration.alerting.wording import (
    GOOD_NEWS,
    Dispatch,
    clip,
    context_line,
    headline,
    links,
)

MAX_SUBJECT: Final = 200
COLORS: Final = {"info": "#2563eb", "warning": "#b45309", "error": "#b91c1c", "critical": "#7f1d1d"}
GOOD_COLOR: Final = "#15803d"


def mail_message(dispatch: Dispatch, settings: EmailSettings) -> EmailMessage:
    """The mail. Its Message-ID is the same in every attempt, and mailboxes drop a second one."""
    notification = dispatch.notification
    domain = settings.sender.rpartition("@")[2]
    message = EmailMessage(policy=SMTP)
    message["Subject"] = clip(headline(notification), MAX_SUBJECT)
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.recipients)
    message["Date"] = format_datetime(notification.occurred_at)
    message["Message-ID"] = f"<{dispatch.message_id}@{domain}>"
    # Mail programs show what is said of one alert as one conversation.
    message["References"] = f"<{dispatch.thread_id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-LLMScope-Idempotency-Key"] = header_value(notification.idempotency_key)
    message.set_content(text_part(dispatch))
    message.add_alternative(html_part(dispatch), subtype="html")
    return message


def text_part(dispatch: Dispatch) -> str:
    """The mail as plain text."""
    notification = dispatch.notification
    figures = "\n".join(f"{name}: {value}" for name, value in notification.figures)
    pages = "\n".join(f"{page.label}: {page.url}" for page in links(notification))
    parts = (headline(notification), notification.text, figures, pages, context_line(dispatch))
    return "\n\n".join(part for part in parts if part) + "\n"


def html_part(dispatch: Dispatch) -> str:
    """The mail as HTML that loads nothing from anywhere."""
    notification = dispatch.notification
    is_good = notification.kind in GOOD_NEWS
    color = GOOD_COLOR if is_good else COLORS[notification.severity]
    text = escape(notification.text).replace("\n", "<br>")
    pages = " · ".join(
        f'<a href="{escape(page.url)}">{page.label}</a>' for page in links(notification)
    )
    return (
        '<!doctype html><html lang="en"><body style="font-family:sans-serif;color:#111">'
        f'<h2 style="color:{color};font-size:18px">{escape(headline(notification))}</h2>'
        f"<p>{text}</p>{_figure_table(notification)}<p>{pages}</p>"
        f'<p style="color:#666;font-size:12px">{escape(context_line(dispatch))}</p>'
        "</body></html>\n"
    )


def _figure_table(notification: Notification) -> str:
    if not notification.figures:
        return ""
    cell = "padding:2px 12px 2px 0;text-align:left"
    rows = "".join(
        f'<tr><th scope="row" style="{cell}">{escape(name)}</th>'
        f'<td style="{cell}">{escape(value)}</td></tr>'
        for name, value in notification.figures
    )
    return f"<table>{rows}</table>"
