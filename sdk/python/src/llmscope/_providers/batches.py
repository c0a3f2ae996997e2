"""Results of batches: lines of JSON, each the answer to one request.

A line that is read again must be the same event: its id comes from the provider's ids, its time
from what the provider says of the answer or of the batch.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from llmscope._events import timestamp
from llmscope._providers import anthropic, openai
from llmscope._providers.reading import Json, text_at

_NAMESPACE = uuid.UUID("6f3ad6a2-6b0c-5f0e-9b1e-3c1f0c9e8f11")
_OPERATIONS = {
    "chat.completion": "chat",
    "response": "chat",
    "list": "embeddings",
    "text_completion": "text_completion",
}


def batch_fields(line: bytes, batch: str, created_at: str | None) -> dict[str, Any] | None:
    """Fields of the event of a line; None where no model answered, and nothing is billed.

    Args:
        batch: What tells this batch, or its file, from others.
        created_at: When the batch was made, where that is known.
    """
    try:
        document = json.loads(line)
    except ValueError:
        return None
    fields = _of_openai(document) or _of_anthropic(document, created_at)
    if fields is None:
        return None
    name = f"{batch}/{document.get('custom_id')}"
    return {**fields, "event_id": str(uuid.uuid5(_NAMESPACE, name)), "service_tier": "batch"}


def _of_openai(line: Any) -> dict[str, Any] | None:
    response = line.get("response") if isinstance(line, dict) else None
    body = response.get("body") if isinstance(response, dict) else None
    if not isinstance(body, dict) or text_at(body, "model") is None:
        return None
    created = body.get("created") or body.get("created_at")
    operation = _OPERATIONS.get(text_at(body, "object") or "", "chat")
    fields = {**openai.read(body), "operation_name": operation}
    fields["http_status_code"] = response.get("status_code") if response else None
    return _at(fields, timestamp(created) if isinstance(created, (int, float)) else None)


def _of_anthropic(line: Any, created_at: str | None) -> dict[str, Any] | None:
    result = line.get("result") if isinstance(line, dict) else None
    message: Json | None = result.get("message") if isinstance(result, dict) else None
    if not isinstance(message, dict) or text_at(message, "model") is None:
        return None
    return _at({**anthropic.read(message), "operation_name": "chat"}, created_at)


def _at(fields: dict[str, Any], started_at: str | None) -> dict[str, Any]:
    return {**fields, "started_at": started_at} if started_at else fields
