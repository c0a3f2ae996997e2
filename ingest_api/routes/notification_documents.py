"""Schemas and examples of the routes for channels."""

from typing import Any, Final

MAX_IDS: Final = 100
MAX_NAME: Final = 100

CHANNEL_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["name", "kind"],
    "properties": {
        "name": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_NAME,
            "pattern": "^[^\\x00-\\x1f\\x7f]*$",
            "description": "Unique in the project.",
        },
        "kind": {"enum": ["slack", "email", "webhook", "pagerduty", "teams"]},
        "settings": {
            "type": "object",
            "description": "What may be shown. email: host, port, security (starttls, tls, none), "
            "username, sender, recipients, verify_certificate. pagerduty: url. Others: nothing.",
        },
        "secrets": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "What is never shown again. slack, teams: url. webhook: url, "
            "signing_secret. email: password. pagerduty: routing_key.",
        },
    },
    "additionalProperties": False,
}
IDS_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["ids"],
    "properties": {
        "ids": {
            "type": "array",
            "items": {"type": "string", "format": "uuid"},
            "minItems": 1,
            "maxItems": MAX_IDS,
        }
    },
    "additionalProperties": False,
}
CHANNEL_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "Slack": {
        "name": "team-search",
        "kind": "slack",
        "secrets": {"url": "https://hooks.slack.com/services/T0000/B0000/xxxx"},
    },
    "a webhook": {
        "name": "own",
        "kind": "webhook",
        "secrets": {"url": "https://alerts.example.com/llmscope"},
    },
    "mail": {
        "name": "finance",
        "kind": "email",
        "settings": {
            "host": "smtp.example.com",
            "sender": "llmscope@example.com",
            "recipients": ["finance@example.com"],
            "username": "llmscope",
        },
        "secrets": {"password": "a password"},
    },
    "PagerDuty": {
        "name": "on call",
        "kind": "pagerduty",
        "secrets": {"routing_key": "R0123456789"},
    },
    "Teams": {
        "name": "office",
        "kind": "teams",
        "secrets": {"url": "https://example.logic.azure.com/workflows/xxxx"},
    },
}
IDS_EXAMPLE: Final = {"one": {"ids": ["01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a10"]}}


def body(schema: dict[str, Any], examples: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The documented body of a route."""
    named = {name: {"value": value} for name, value in examples.items()}
    content = {"application/json": {"schema": schema, "examples": named}}
    return {"requestBody": {"required": True, "content": content}}
