"""Pure: a notification as the HTTP request of each service."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from orchestration.alerting.wording import Dispatch

# What stays readable in a header; the rest is percent-encoded.
KEY_CHARACTERS: Final = "/:@=,;+!*()' -._~"


@dataclass(frozen=True)
class HttpRequest:
    """A POST that was not sent yet; its URL and its headers may be secrets."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def json_request(
    url: str, content: Mapping[str, Any], dispatch: Dispatch, **headers: str
) -> HttpRequest:
    """A POST of JSON that carries the notification's idempotency key."""
    shared = {
        "Content-Type": "application/json",
        "User-Agent": "llmscope",
        "Idempotency-Key": header_value(dispatch.notification.idempotency_key),
    }
    return HttpRequest(url, {**shared, **headers}, encode(content))


def encode(content: Mapping[str, Any]) -> bytes:
    """JSON whose bytes are the same in every attempt."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def header_value(text: str) -> str:
    """`text` in the characters that a header may have."""
    return quote(text, safe=KEY_CHARACTERS)
