"""Real answers of providers, as events and as `genai_prices` prices them."""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from genai_prices import Usage
from genai_prices.data_snapshot import DataSnapshot

from dbt_project.golden.ledger import event
from ingest_api.usage_bodies import BodyUsage, read_usage

# What `genai_prices` calls the counts of an event.
USAGE_KEYS: Final = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_write_input_tokens",
    "cache_write_1h_tokens": "cache_write_1h_input_tokens",
    "output_reasoning_tokens": "reasoning_output_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "output_audio_tokens": "output_audio_tokens",
    "input_image_tokens": "input_image_tokens",
}
Row = dict[str, Any]


def read_rows(corpus_path: Path) -> list[Row]:
    """The recorded answers; each with an `event_id`, because ids are repeated."""
    file = corpus_path / "genai-prices" / "usages.jsonl"
    if not file.exists():
        pytest.skip(f"{file} is not on this machine; set LLMSCOPE_CORPUS to the folder of it")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return [
        {**row, "event_id": uuid.uuid5(uuid.NAMESPACE_URL, f"{number} {row['id']}")}
        for number, row in enumerate(rows)
    ]


def as_event(row: Row, started_at: datetime) -> dict[str, Any]:
    """The call, with its usage read by our own code from the verbatim body."""
    read = read_usage(row["body"])
    named = {
        "event_id": row["event_id"],
        "provider_name": row["provider"] or "unnamed",
        "request_model": row["model"] or "unnamed",
        "started_at": started_at,
    }
    if read is None:
        return event(**named)
    counts = {name: getattr(read, name) for name in USAGE_KEYS.values()}
    return event(**named, **counts, usage_details=read.usage_details)


def expected_counts(row: Row) -> dict[str, int]:
    """The counts that an event has a field for, as the corpus reads them from the body."""
    return _counts_of(row["expected_usage"] or {})


def _counts_of(usage: Mapping[str, int]) -> dict[str, int]:
    return {ours: usage.get(theirs, 0) for theirs, ours in USAGE_KEYS.items()}


def read_counts(row: Row) -> dict[str, int]:
    """The same counts, as our code reads them."""
    read = read_usage(row["body"])
    return {name: _count(read, name) for name in USAGE_KEYS.values()}


def is_read_as_expected(row: Row) -> bool:
    """Whether the corpus and our code count the same."""
    return expected_counts(row) == read_counts(row)


def is_read_by_a_candidate(row: Row) -> bool:
    """Whether the corpus counts as we do when it reads the body as another provider's.

    Bedrock has the Responses API of OpenAI without rules of its own to read it: the corpus reads it
    as Anthropic's, without what was cached, and beside it as OpenAI's.
    """
    return any(_counts_of(one["usage"]) == read_counts(row) for one in row["candidates"])


def recorded_price(row: Row) -> Decimal:
    """What the corpus says the answer costs.

    `total_price` is input and output alone. Where a fee was due, as for a search of the web, the
    candidate that is the row's own provider states the sum.
    """
    provider = (row["provider"], row["api_flavor"])
    own = (one for one in row["candidates"] if (one["provider_id"], one["api_flavor"]) == provider)
    return Decimal(
        next((one["total_price"] for one in own if "total_price" in one), row["total_price"])
    )


def catalog_cost(snapshot: DataSnapshot, row: Row, started_at: datetime) -> Decimal | None:
    """What `genai_prices.calc_price` says; None where it says nothing, or zero for want of a price.

    It is asked for what the body tells, which is now and then more than the corpus reads there.
    """
    read = read_counts(row)
    counts = {theirs: read[ours] for theirs, ours in USAGE_KEYS.items() if read[ours]}
    if not (read_usage(row["body"]) and row["provider"] and row["model"]):
        return None
    usage = Usage(**{**(row["expected_usage"] or {}), **counts})
    try:
        priced = snapshot.calc(usage, row["model"], row["provider"], None, started_at)
    except (LookupError, ValueError):
        return None
    return priced.total_price if vars(priced.model_price) else None


def _count(read: BodyUsage | None, name: str) -> int:
    return 0 if read is None else getattr(read, name) or 0
