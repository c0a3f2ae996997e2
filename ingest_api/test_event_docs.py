"""The page for senders says what the contract says."""

import json
import re
from datetime import UTC, datetime

import pytest

from ingest_api.accept import accept_event
from ingest_api.event_docs import (
    PAGE,
    PROVIDERS,
    SCHEMA,
    render,
    render_providers,
    render_schema,
    type_words,
)
from ingest_api.events import json_schema

PROPERTIES = json_schema()["properties"]


def test_the_committed_page_is_current() -> None:
    assert PAGE.read_text() == render(), "run: make docs"


def test_the_committed_schema_is_current() -> None:
    assert SCHEMA.read_text() == render_schema(), "run: make docs"


def test_the_committed_providers_are_current() -> None:
    assert PROVIDERS.read_text() == render_providers(), "run: make docs"


def test_the_page_names_every_field() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", render(), re.MULTILINE)
    assert set(PROPERTIES) <= set(rows)


def test_no_cell_breaks_the_tables() -> None:
    for line in render().splitlines():
        if line.startswith("| "):
            assert line.count("|") == 4


def test_the_example_is_accepted() -> None:
    body = re.search(r"-d '(\{.*?\})'$", render(), re.DOTALL | re.MULTILINE)
    assert body is not None
    now = datetime.now(UTC)
    event = re.sub(r"'\$\(date.*?\)'", now.isoformat(), body[1])
    accepted = accept_event(event.encode(), now)
    assert accepted.ids
    assert json.loads(event)["event_id"] == str(accepted.ids[0])


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("provider_name", "text, 1 to 128 characters"),
        ("error_message", "text, 0 to 2,000 characters"),
        ("input_tokens", "whole number, 0 to 1,000,000,000"),
        ("duration_seconds", "number, 0 to 604,800"),
        ("started_at", "time"),
        ("event_id", "UUID"),
        ("is_stream", "true or false"),
        ("usage_semantics", "`cache_exclusive` or `inclusive`"),
        ("response_finish_reasons", "list of up to 32 texts"),
        ("tags", "up to 32 texts by name"),
        ("usage_details", "JSON object"),
        ("input_messages", "JSON array"),
        ("reported_cost_usd", "decimal, text or number"),
    ],
)
def test_types_are_told_in_words(field: str, words: str) -> None:
    assert type_words(PROPERTIES[field]) == words
