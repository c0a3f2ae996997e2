"""`make docs`: write the contract as a page for senders, and as JSON for the SDKs."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from ingest_api.errors import PROBLEMS
from ingest_api.events import json_schema
from ingest_api.otlp.providers import HOST_ENDINGS
from ingest_api.settings import Settings

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "events.md"
SCHEMA: Final = ROOT / "sdk" / "contract" / "event.schema.json"
PROVIDERS: Final = ROOT / "sdk" / "contract" / "providers.json"

TEMPLATE: Final = """\
<!-- Written by `make docs` from ingest_api/events.py: edit that. -->

# Sending events

One event is one call of a model: a chat answer, an embedding, a rerank, an image. Send it when the
call has ended, whether it succeeded or not.

| Request | Body | Limits |
|---|---|---|
| `POST /api/v1/events/ingest` | one JSON object | {max_mebibytes} MiB |
| `POST /api/v1/events/ingest/batch` | a JSON array, or NDJSON as `application/x-ndjson` | \
{max_events:,} events, {max_mebibytes} MiB |

Send the key as `Authorization: Bearer llms_...` or `X-API-Key: llms_...`. A body may be compressed
(`Content-Encoding: gzip` or `zstd`); the limit holds for what it unpacks to.

A page in a browser must not have the key. Your server, which has it, asks for a token that sends
events for `LLMSCOPE_INGEST_TOKEN_SECONDS`, does nothing else and dies with the key
(`POST /api/v1/events/ingest/token`), and the page sends that in the place of the key. Its origin
must be in `LLMSCOPE_CORS_ORIGINS`.

```sh
curl -X POST http://127.0.0.1:{api_port}/api/v1/events/ingest \\
  -H "Authorization: Bearer $(cat .llmscope/api_key)" \\
  -d '{{"event_id": "01975c5e-7d3f-7c1a-9a54-2f0f6f6e5b10",
       "provider_name": "openai", "request_model": "gpt-4o-mini",
       "started_at": "'$(date -u +%Y-%m-%dT%H:%M:%SZ)'",
       "input_tokens": 1200, "cache_read_input_tokens": 1024, "output_tokens": 180}}'
```

## Answers

`202` names each accepted event and each rejected one; the accepted ones are on disk and will be
exactly one row each. One bad event costs its neighbours nothing:

```json
{{"accepted": ["01975c5e-7d3f-7c1a-9a54-2f0f6f6e5b10"],
 "rejected": [{{"index": 1, "field": "input_tokens", "reason": "Expected `int` >= 0"}}]}}
```

Everything else is a problem document (RFC 9457) with the fix in `detail`:

{problems}

After `503`, or without any answer, send the same events again with the same `event_id`: an event
sent twice is one row. Every other answer stays the same until what it names is mended.

## Token counts

Counts are inclusive: `input_tokens` contains cached tokens, `output_tokens` contains reasoning.
OpenAI and Google report them so. Anthropic and Amazon Bedrock leave the cache out of their
`input_tokens`: add `cache_read_input_tokens` and `cache_creation_input_tokens` to it, or send it as
it is with `"usage_semantics": "cache_exclusive"`. Where the provider sent no usage, leave the
counts out: unknown is not zero.

## Fields

Required: {required}, and `request_model` or `response_model`.
Unknown fields are rejected: what has no field of its own belongs in `tags`. `null` is the same as
leaving an optional field out, except for {never_null}.
As JSON Schema: `GET /api/v1/events/schema`.

{fields}
"""


def render() -> str:
    """The whole page."""
    schema = json_schema()
    limits = Settings.model_fields
    return TEMPLATE.format(
        max_events=limits["max_batch_events"].default,
        max_mebibytes=limits["max_body_bytes"].default // 2**20,
        api_port=limits["api_port"].default,
        problems=_problem_table(),
        required=_names(schema["required"]),
        never_null=_names(_fields_with_default(schema["properties"])),
        fields=_field_table(schema["properties"]),
    )


def _names(fields: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in fields)


def _fields_with_default(properties: dict[str, Any]) -> list[str]:
    return [name for name, field in properties.items() if field.get("default") is not None]


def _problem_table() -> str:
    rows = [(str(p.status), f"`{p.type}`", (p.__doc__ or "").strip()) for p in PROBLEMS]
    return _table(("Status", "Type ends in", "Meaning"), rows)


def _field_table(properties: dict[str, Any]) -> str:
    rows = [
        (f"`{name}`", type_words(field), field["description"]) for name, field in properties.items()
    ]
    return _table(("Field", "Type", "Meaning"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines: list[Sequence[str]] = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def type_words(field: dict[str, Any]) -> str:
    """Type and limits of a field of the schema, in words."""
    [kind] = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
    if "enum" in kind:
        return " or ".join(f"`{value}`" for value in kind["enum"])
    if "format" in kind:
        return {"date-time": "time", "uuid": "UUID", "decimal": "decimal, text or number"}[
            kind["format"]
        ]
    name = kind["type"] if isinstance(kind["type"], str) else kind["type"][0]
    match name:
        case "string":
            return f"text, {_range(kind, 'minLength', 'maxLength')} characters"
        case "integer" | "number":
            word = "whole number" if name == "integer" else "number"
            return f"{word}, {_range(kind, 'minimum', 'maximum')}"
        case "array" if "items" in kind:
            return f"list of up to {kind['maxItems']} texts"
        case "object" if "maxProperties" in kind:
            return f"up to {kind['maxProperties']} texts by name"
        case "boolean":
            return "true or false"
        case _:
            return f"JSON {name}"


def _range(kind: dict[str, Any], lowest: str, highest: str) -> str:
    return f"{kind.get(lowest, 0):,} to {kind[highest]:,}"


def render_schema() -> str:
    """The contract as the text of a JSON Schema file."""
    return json.dumps(json_schema(), indent=2) + "\n"


def render_providers() -> str:
    """Endings of the addresses of providers, first match wins, as the text of a JSON file."""
    return json.dumps({"host_endings": HOST_ENDINGS}, indent=2) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render())
    SCHEMA.parent.mkdir(parents=True, exist_ok=True)
    SCHEMA.write_text(render_schema())
    PROVIDERS.write_text(render_providers())
