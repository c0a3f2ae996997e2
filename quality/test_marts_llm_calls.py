"""Each kind of broken call is caught by exactly the rule that is meant to catch it."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from quality.conftest import NOW, UNPRICED, Insert, InsertRow
from quality.marts_llm_calls import (
    CALLS,
    COMPLETENESS,
    marts_completeness_suite,
    marts_llm_calls_suite,
)
from quality.suites import Outcome
from quality.validation import validate

UNKNOWN_MODEL = UNPRICED | {"unpriced_reason": "unknown_model"}
MISSING_USAGE = UNPRICED | {"unpriced_reason": "missing_usage", "has_usage": False}
FAILED_CALL = UNPRICED | {"unpriced_reason": "no_usage", "has_usage": False, "is_error": True}
FAULTS: dict[str, dict[str, Any]] = {
    "calls_have_either_a_cost_or_a_reason": UNPRICED,
    "costs_are_not_negative": {"cache_read_cost_usd": "-0.003", "total_cost_usd": "0"},
    "cost_parts_add_up_to_the_total": {"total_cost_usd": "0.00300000000001"},
    "costs_name_their_price_rows": {"request_cost_usd": "0.1", "total_cost_usd": "0.103"},
    "llm_calls_have_known_price": UNKNOWN_MODEL,
    "costs_per_token_lie_within_the_price_table": {
        "catalog_provider": "acme",
        "catalog_model": "novel-1",
        "output_cost_usd": "0.0121",
        "total_cost_usd": "0.0121",
    },
    "input_parts_add_up_to_input_tokens": {"uncached_input_tokens": 1},
    "successful_calls_report_usage": MISSING_USAGE,
}
SINCE = NOW - timedelta(hours=1)


def failures(outcomes: Iterable[Outcome]) -> dict[str, set[str]]:
    return {one.rule.name: set(one.sample_ids) for one in outcomes if not one.is_passed}


def test_every_rule_has_a_fault_that_it_is_tried_on() -> None:
    assert set(FAULTS) == {rule.name for rule in CALLS}


def test_each_broken_call_is_caught_by_exactly_its_rule(
    warehouse_url: str, insert_call: Insert, insert_row: InsertRow
) -> None:
    for kind, price in (("input", 1), ("output", 10), ("request", 1_000_000)):
        insert_row(
            "pricing.model_prices",
            catalog_provider="acme",
            catalog_model="novel-1",
            token_kind=kind,
            usd_per_million=price,
            valid_from=NOW,
            source="genai-prices",
            catalog_version="1",
        )
    insert_call(catalog_provider="acme", catalog_model="novel-1")
    broken = {rule: {insert_call(**fault)} for rule, fault in FAULTS.items()}

    outcomes = validate(marts_llm_calls_suite(SINCE), warehouse_url).outcomes

    assert failures(outcomes) == broken


def test_clean_calls_raise_nothing(warehouse_url: str, insert_call: Insert) -> None:
    insert_call()
    insert_call(**FAILED_CALL)

    assert failures(validate(marts_llm_calls_suite(SINCE), warehouse_url).outcomes) == {}


def test_a_gap_within_tolerance_passes_and_is_counted(
    warehouse_url: str, insert_call: Insert
) -> None:
    for _ in range(19):
        insert_call()
    unpriced = insert_call(**UNKNOWN_MODEL)

    outcomes = validate(marts_llm_calls_suite(SINCE), warehouse_url).outcomes

    assert failures(outcomes) == {}
    found = next(one for one in outcomes if one.rule.name == "llm_calls_have_known_price")
    assert (found.failed_count, found.failed_ratio) == (1, 0.05)
    assert found.sample_ids == (unpriced,)


def test_a_call_priced_late_is_looked_at_again(warehouse_url: str, insert_call: Insert) -> None:
    insert_call(loaded_at=NOW - timedelta(days=30), uncached_input_tokens=1)
    insert_call(cost_computed_at=SINCE, uncached_input_tokens=1)

    outcomes = validate(marts_llm_calls_suite(SINCE), warehouse_url).outcomes

    assert [one.failed_count for one in outcomes if not one.is_passed] == [1]


def test_calls_missing_on_either_side_are_found(
    warehouse_url: str, insert_event: Insert, insert_call: Insert
) -> None:
    insert_call(event_id=insert_event())
    missing = insert_event()
    invented = insert_call()
    changed = insert_event(input_tokens=1001)
    insert_call(event_id=changed)

    outcomes = validate(marts_completeness_suite(SINCE), warehouse_url).outcomes

    assert failures(outcomes) == {
        "raw_calls_up_to_the_watermark_are_in_the_marts": {missing},
        "calls_in_the_marts_stem_from_a_raw_event": {invented},
        "calls_in_the_marts_carry_the_tokens_of_their_raw_event": {changed},
    }


def test_the_same_event_id_of_two_projects_is_two_calls(
    warehouse_url: str, insert_event: Insert, insert_call: Insert
) -> None:
    event_id = insert_event()
    insert_call(event_id=event_id)
    insert_event(event_id=event_id, project_id="00000000-0000-0000-0000-000000000001")

    assert len(failures(validate(marts_completeness_suite(SINCE), warehouse_url).outcomes)) == 1


def test_what_is_not_built_yet_and_what_is_no_call_is_not_missing(
    warehouse_url: str, insert_event: Insert, insert_call: Insert
) -> None:
    insert_call(event_id=insert_event())
    insert_event(loaded_at=NOW + timedelta(seconds=1))
    insert_event(operation_name="invoke_agent")

    assert failures(validate(marts_completeness_suite(SINCE), warehouse_url).outcomes) == {}


def test_empty_marts_pass(warehouse_url: str, insert_event: Insert) -> None:
    insert_event()

    outcomes = [
        *validate(marts_llm_calls_suite(SINCE), warehouse_url).outcomes,
        *validate(marts_completeness_suite(SINCE), warehouse_url).outcomes,
    ]

    assert [one.rule for one in outcomes] == [*CALLS, *COMPLETENESS]
    assert failures(outcomes) == {}
