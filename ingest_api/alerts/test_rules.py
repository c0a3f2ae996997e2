"""What is a rule, and what is none."""

from typing import Any

import msgspec
import pytest

from ingest_api.alerts.rules import AlertRule
from ingest_api.alerts.templates import NAMES, check_template, fill

GOOD: dict[str, Any] = {"name": "spend", "metric": "cost", "threshold": 10}


def read(**changes: Any) -> AlertRule:
    return msgspec.json.decode(msgspec.json.encode({**GOOD, **changes}), type=AlertRule)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": "costs"}, "metric: must be one of cost, calls"),
        ({"threshold": "NaN"}, "threshold: must lie"),
        ({"threshold": "1e16"}, "threshold: must lie"),
        ({"direction": "over"}, "direction"),
        ({"name": ""}, "name"),
        ({"name": " "}, "name: must have a letter"),
        ({"name": "a\nb"}, "name: must have a letter"),
        ({"model": "\0"}, "model"),
        ({"window_seconds": 0}, "window_seconds"),
        ({"window_seconds": 90}, "window_seconds"),
        ({"window_seconds": 31 * 86400 + 60}, "window_seconds"),
        ({"tag_key": "team"}, "give both or neither"),
        ({"group_by": "tag:"}, "group_by: cost may be grouped by provider_name"),
        ({"group_by": "colour"}, "group_by: cost may be grouped by provider_name"),
        ({"group_by": "model", "model": "gpt-4o"}, "for a single value of it already"),
        ({"metric": "dead_letters", "model": "gpt-4o"}, "model: dead_letters is not known by it"),
        ({"metric": "anomaly", "user_id": "u"}, "user_id: anomaly is not known by it"),
        ({"metric": "anomaly", "group_by": "tag:team"}, "may be grouped by provider_name, model"),
        ({"metric": "dead_letters", "group_by": "model"}, "may be grouped by nothing"),
        ({"metric": "budget_use", "compare_to": "day_before"}, "compare_to"),
        ({"metric": "budget_use", "minimum_call_count": 1}, "minimum_call_count"),
        ({"budget": "all"}, "budget: only metrics of budgets"),
        ({"metric": "latency_p95", "user_id": "u", "window_seconds": 86400 * 3}, "48 h at most"),
        ({"message": "{value} {secret}"}, "{secret} is no placeholder; there are rule, metric"),
        ({"message": "{value.__class__}"}, "is no placeholder"),
        ({"message": "{0}"}, "is no placeholder"),
        ({"message": "{value"}, "a brace stands alone"),
        ({"message": "}"}, "a brace stands alone"),
        ({"runbook_url": "javascript:alert(1)"}, "runbook_url"),
        ({"remind_every_seconds": 1}, "remind_every_seconds"),
        ({"severity": "urgent"}, "severity"),
        ({"silences": [{"days": ["someday"]}]}, "days"),
        ({"silences": [{"days": ["mon"], "from_time": "24:00"}]}, "from_time: write it as 22:00"),
        ({"silences": [{"days": ["mon"], "to_time": "6:00"}]}, "to_time: write it as 06:00"),
        ({"silences": [{"days": ["mon"], "to_time": "00:00"}]}, "no time at all"),
        ({"silences": [{"days": ["mon"], "time_zone": "Europe/Bonn"}]}, "no IANA time zone"),
        ({"mutes": [{"starts_at": "2026-11-01T00:00:00", "ends_at": "2026-11-02T00:00:00Z"}]},
         "starts_at: needs its offset"),
        ({"mutes": [{"starts_at": "2026-11-02T00:00:00Z", "ends_at": "2026-11-02T00:00:00Z"}]},
         "ends_at: must be after"),
        ({"colour": "red"}, "colour"),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        read(**changes)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"window_seconds": 60}, {"window_seconds": 31 * 86400}, {"threshold": "0.0000001"},
        {"group_by": "user_id"}, {"group_by": "tag:team", "model": "gpt-4o"},
        {"tag_key": "team", "tag_value": "a", "group_by": "tag:feature"},
        {"metric": "budget_use", "budget": "all"}, {"metric": "anomaly", "group_by": "model"},
        {"metric": "latency_p99", "user_id": "u", "window_seconds": 86400},
        {"silences": [{"days": ["fri"], "from_time": "22:00", "to_time": "06:00"}]},
    ],
)  # fmt: skip
def test_a_rule_reads_as_it_was_written(changes: dict[str, Any]) -> None:
    rule = read(**changes)
    assert msgspec.json.decode(msgspec.json.encode(rule), type=AlertRule) == rule


def test_a_message_is_filled_once_and_by_name_alone() -> None:
    check_template(" ".join(f"{{{name}}}" for name in NAMES))
    assert fill("{group} spent {value}", {"group": "{value}", "value": "3 USD"}) == (
        "{value} spent 3 USD"
    )
