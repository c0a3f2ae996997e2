"""Prompts are kept for debugging, but no mail address and no user leaves the process."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import openai

import llmscope

MAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")


def without_mail_addresses(value: Any) -> Any:
    if isinstance(value, str):
        return MAIL.sub("[mail]", value)
    if isinstance(value, list):
        return [without_mail_addresses(part) for part in value]
    if isinstance(value, dict):
        return {name: without_mail_addresses(part) for name, part in value.items()}
    return value


def redact(event: dict[str, Any]) -> dict[str, Any] | None:
    """Runs before an event is sent or written to disk; None keeps it back."""
    if event.get("tags", {}).get("is_internal") == "true":
        return None
    event = {name: without_mail_addresses(value) for name, value in event.items()}
    if "user_id" in event:
        event["user_id"] = hashlib.sha256(event["user_id"].encode()).hexdigest()[:16]
    return event


def main() -> None:
    llmscope.init(service_name="example-redaction", capture_content=True, redact=redact)
    llmscope.instrument()
    client = openai.OpenAI()
    question = [{"role": "user", "content": "Who is ann@example.org?"}]
    with llmscope.context(user_id="ann@example.org"):
        client.chat.completions.create(model="gpt-4o-mini", messages=question)
    with llmscope.context(tags={"is_internal": "true"}):
        client.chat.completions.create(model="gpt-4o-mini", messages=question)


if __name__ == "__main__":
    main()
