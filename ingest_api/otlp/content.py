"""Prompts and completions of a span, for projects that store them."""

from typing import Any, Final, NamedTuple

import msgspec

from ingest_api.events import ABSENT, MAX_MESSAGES_BYTES
from ingest_api.otlp.aliases import Attributes, Names

# Attributes that hold a list of messages, as JSON or as a list.
INPUT_LISTS: Final[Names] = ("gen_ai.input.messages", "ai.prompt.messages")
OUTPUT_LISTS: Final[Names] = ("gen_ai.output.messages",)
# Attributes that spell a list out: `gen_ai.prompt.0.role`, `llm.input_messages.0.message.role`.
INPUT_PREFIXES: Final[Names] = ("gen_ai.prompt.", "llm.input_messages.")
OUTPUT_PREFIXES: Final[Names] = ("gen_ai.completion.", "llm.output_messages.")
# One text: Vercel's answer, OpenLIT's prompt and answer.
INPUT_TEXTS: Final[Names] = ("gen_ai.prompt",)
OUTPUT_TEXTS: Final[Names] = ("ai.response.text", "gen_ai.completion")


class Messages(NamedTuple):
    """JSON arrays, each left out where there is none or it is too large for an event."""

    input_messages: msgspec.Raw = ABSENT
    output_messages: msgspec.Raw = ABSENT


NO_MESSAGES: Final = Messages()


def messages_of(attributes: Attributes) -> Messages:
    """What was asked and what was answered."""
    return Messages(
        _encode(_messages(attributes, INPUT_LISTS, INPUT_PREFIXES, INPUT_TEXTS, "user")),
        _encode(_messages(attributes, OUTPUT_LISTS, OUTPUT_PREFIXES, OUTPUT_TEXTS, "assistant")),
    )


def _encode(messages: list[Any]) -> msgspec.Raw:
    try:
        encoded = msgspec.json.encode(messages) if messages else b""
    except RecursionError:
        return ABSENT
    return msgspec.Raw(encoded) if 0 < len(encoded) <= MAX_MESSAGES_BYTES else ABSENT


def _messages(
    attributes: Attributes, lists: Names, prefixes: Names, texts: Names, role: str
) -> list[Any]:
    sent = _first(attributes, lists)
    if isinstance(sent, str):
        try:
            sent = msgspec.json.decode(sent)
        except (msgspec.DecodeError, RecursionError):
            sent = None
    if isinstance(sent, list) and sent:
        return sent
    for prefix in prefixes:
        if spelled := _spelled_out(attributes, prefix):
            return spelled
    words = _first(attributes, texts)
    return [{"role": role, "content": words}] if isinstance(words, str) else []


def _spelled_out(attributes: Attributes, prefix: str) -> list[Any]:
    """One object per index, with the rest of each name as its key."""
    messages: dict[int, dict[str, Any]] = {}
    for name, value in attributes.items():
        if name.startswith(prefix):
            index, _, key = name[len(prefix) :].partition(".")
            if key and len(index) < 10 and index.isascii() and index.isdigit():
                messages.setdefault(int(index), {})[key.removeprefix("message.")] = value
    return [messages[index] for index in sorted(messages)]


def _first(attributes: Attributes, names: Names) -> Any:
    return next((attributes[name] for name in names if attributes.get(name)), None)
