"""What the OpenAPI document says of the feed. It has no word for WebSockets: docs/live-feed.md."""

from typing import Any, Final

import msgspec

from ingest_api import errors
from ingest_api.recent import EXAMPLE_RECENT_EVENT

STREAM_DESCRIPTION: Final = """Events of the key's project as they are accepted, straight from the \
stream: neither the loader nor Postgres is needed. Ask with `Accept: text/event-stream`. The same \
path answers to WebSockets with the same parameters; a frame is an array of the same messages.

Each `data` is a message with a `type`: `ready` first, then `event`; `heartbeat` where nothing \
happens; `dropped` where the client was too slow (`count` events behind `resume_after`); `gap` \
where events that it asks for may no longer be kept; `end` before the server closes. `id` is what \
to resume behind: send the last one as `Last-Event-ID`.

Browsers, which cannot send a key, send `token`. A key in the URL is refused."""

EXAMPLE_ID: Final = "1795773601500-0-0"
EXAMPLE_TOKEN: Final = {
    "token": "llmt_AZObLnyaek6TVQwvHy9qEAAAAZOfLnyaek6TVQwvHy9qEA",
    "expires_at": "2026-11-23T10:01:01Z",
}
EXAMPLE_EVENT: Final[dict[str, Any]] = {
    **{name: value for name, value in EXAMPLE_RECENT_EVENT.items() if name != "loaded_at"},
    "estimated_cost_usd": "0.0002832",
    "is_estimate": True,
    "unpriced_reason": None,
}
EXAMPLE_MESSAGES: Final[tuple[dict[str, Any], ...]] = (
    {"type": "ready", "id": "1795773600000-0", "is_resumed": False, "heartbeat_seconds": 15.0},
    {"type": "event", "id": EXAMPLE_ID, "event": EXAMPLE_EVENT},
    {"type": "heartbeat", "id": "1795773616000-0"},
    {"type": "dropped", "count": 120, "resume_after": EXAMPLE_ID},
)


def _example_text() -> str:
    parts = []
    for message in EXAMPLE_MESSAGES:
        identity = f"id: {message['id']}\n" if "id" in message else ""
        parts.append(f"{identity}data: {msgspec.json.encode(message).decode()}\n\n")
    return "".join(parts)


STREAM_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Messages without end.",
        "content": {
            "text/event-stream": {"schema": {"type": "string"}, "example": _example_text()}
        },
    }
}
STREAM_PROBLEMS: Final = (
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.BadParameterError,
    errors.UnavailableError,
    errors.NotAcceptableError,
)
