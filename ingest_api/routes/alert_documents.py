"""The bodies of the routes of alerts, as the OpenAPI document shows them."""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from ingest_api.alerts.metrics import METRICS
from ingest_api.alerts.rules import AlertRule
from ingest_api.alerts.templates import NAMES

MAX_IDS: Final = 1000
REF: Final = "#/components/schemas/{name}"
EXAMPLE_ID: Final = "01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a10"

Ids = Annotated[list[UUID], msgspec.Meta(min_length=1, max_length=MAX_IDS)]

EXAMPLE_RULE: Final[dict[str, Any]] = {
    "name": "spend of a user",
    "metric": "cost",
    "threshold": 25,
    "group_by": "user_id",
    "window_seconds": 3600,
    "for_seconds": 300,
    "severity": "error",
    "remind_every_seconds": 14400,
    "silences": [
        {"days": ["sat", "sun"], "time_zone": "Europe/Berlin"},
    ],
    "message": "{group} has spent {value} within {window}",
    "runbook_url": "https://example.com/runbooks/spend",
}
IDS_SCHEMA: Final = {
    "type": "array",
    "items": {"type": "string", "format": "uuid"},
    "minItems": 1,
    "maxItems": MAX_IDS,
}


def rule_schemas() -> dict[str, Any]:
    """A rule and its parts, by name."""
    _, found = msgspec.json.schema_components([AlertRule], ref_template=REF)
    properties = found["AlertRule"]["properties"]
    properties["metric"] = {"type": "string", "enum": list(METRICS)}
    properties["threshold"] = {
        "type": ["number", "string"],
        "pattern": "^-?[0-9]{1,12}([.][0-9]{1,9})?$",
        "description": "USD, a count, seconds or a ratio, by the metric; at most 9 decimal places.",
    }
    words = "; ".join(f"`{{{name}}}`: {what}" for name, what in NAMES.items())
    properties["message"]["description"] = f"Text with placeholders. {words}."
    found["AlertRule"]["description"] = "What is watched, when that is an alert, and who is told."
    return found


def _body(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def _object(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


RULE: Final = {"$ref": REF.format(name="AlertRule")}
RULE_BODY: Final = _body(RULE, EXAMPLE_RULE)
IMPORT_BODY: Final = _body(
    _object(
        ["rules"],
        rules={"type": "array", "items": RULE, "maxItems": 500},
        is_dry_run={"type": "boolean", "default": False},
        removes_others={
            "type": "boolean",
            "default": False,
            "description": "Delete the project's rules that are not among them.",
        },
    ),
    {"rules": [EXAMPLE_RULE], "is_dry_run": True},
)
ENABLE_BODY: Final = _body(
    _object(["ids", "is_enabled"], ids=IDS_SCHEMA, is_enabled={"type": "boolean"}),
    {"ids": [EXAMPLE_ID], "is_enabled": False},
)
IDS_BODY: Final = _body(_object(["ids"], ids=IDS_SCHEMA), {"ids": [EXAMPLE_ID]})
BACKTEST_BODY: Final = _body(
    _object(
        ["rule"],
        rule=RULE,
        days={"type": "integer", "minimum": 1, "maximum": 30, "default": 30},
    ),
    {"rule": {"name": "spend", "metric": "cost", "threshold": 25}, "days": 7},
)
ACKNOWLEDGE_BODY: Final = _body(
    _object(
        ["ids", "by"],
        ids=IDS_SCHEMA,
        by={"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^\\x00]*$"},
    ),
    {"ids": [EXAMPLE_ID], "by": "ann"},
)
