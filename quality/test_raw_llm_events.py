"""Each kind of broken raw event is caught by exactly the rule that is meant to catch it."""

from datetime import UTC, datetime, timedelta

from quality.conftest import CLEAN_EVENT, NOW, Insert
from quality.raw_llm_events import RULES, raw_llm_events_suite
from quality.validation import validate

NULL = None
STARTED = CLEAN_EVENT["started_at"]
NO_PARTS = {
    "cache_read_input_tokens": NULL,
    "cache_write_input_tokens": NULL,
    "cache_write_1h_input_tokens": NULL,
    "reasoning_output_tokens": NULL,
    "input_audio_tokens": NULL,
    "output_audio_tokens": NULL,
}
FAULTS = {
    "required_columns_are_filled": [
        {"provider_name": ""},
        {"operation_name": ""},
        {"request_model": ""},
    ],
    "usage_source_is_known": [{"usage_source": "guess"}],
    "usage_semantics_is_known": [{"usage_semantics": "exclusive"}],
    "service_tier_is_known": [{"service_tier": "turbo"}],
    "token_counts_lie_within_the_contract": [
        {"input_audio_tokens": -1},
        {"input_tokens": 1_000_000_001},
    ],
    "durations_lie_within_the_contract": [
        {"duration_seconds": 604_801.0},
        {"duration_seconds": float("nan")},
        {"time_to_first_chunk_seconds": -0.1},
    ],
    "reported_costs_are_not_negative": [{"reported_cost_usd": "-0.01"}],
    "http_status_codes_exist": [{"http_status_code": 0}, {"http_status_code": 600}],
    "cached_tokens_lie_within_input_tokens": [
        {"input_tokens": 999},
        {"cache_read_input_tokens": 601},
    ],
    "one_hour_cache_writes_lie_within_cache_writes": [
        {"cache_write_1h_input_tokens": 401},
        {"cache_write_input_tokens": NULL},
    ],
    "reasoning_tokens_lie_within_output_tokens": [{"reasoning_output_tokens": 201}],
    "audio_and_image_tokens_lie_within_their_totals": [
        {"input_audio_tokens": 500, "input_image_tokens": 501},
        {"output_audio_tokens": 201},
    ],
    "calls_end_after_they_start": [{"ended_at": STARTED - timedelta(seconds=1)}],
    "first_chunks_arrive_before_calls_end": [{"time_to_first_chunk_seconds": 2.1}],
    "calls_start_within_the_contract": [
        {"started_at": NOW + timedelta(days=2), "ended_at": NULL},
        {"started_at": datetime(2019, 12, 31, tzinfo=UTC)},
    ],
    "sender_clocks_are_not_ahead": [
        {"started_at": NOW + timedelta(minutes=6), "ended_at": NULL},
        {"started_at": NOW + timedelta(hours=23), "ended_at": NULL},
    ],
    "rows_are_loaded_after_they_are_received": [{"received_at": NOW + timedelta(minutes=6)}],
}
CLEAN = [
    {},
    {"started_at": NOW - timedelta(days=700)},
    {"started_at": NOW + timedelta(minutes=4), "ended_at": NULL},
    {"ended_at": STARTED, "duration_seconds": 0.0, "time_to_first_chunk_seconds": 0.0},
    {"usage_semantics": "cache_exclusive", "input_tokens": 10},
    {"input_tokens": NULL, "output_tokens": NULL, "usage_source": "missing", **NO_PARTS},
    {"request_model": NULL, "response_model": "gpt-5", "service_tier": NULL},
    {"duration_seconds": NULL, "time_to_first_chunk_seconds": NULL, "ended_at": NULL},
    {"input_tokens": 1_000_000_000},
]
SINCE = NOW - timedelta(hours=1)


def test_every_rule_has_a_fault_that_it_is_tried_on() -> None:
    assert set(FAULTS) == {rule.name for rule in RULES}


def test_each_broken_event_is_caught_by_exactly_its_rule(
    database_url: str, insert_event: Insert
) -> None:
    for event in CLEAN:
        insert_event(**event)
    broken = {rule: {insert_event(**fault) for fault in faults} for rule, faults in FAULTS.items()}

    outcomes = validate(raw_llm_events_suite(SINCE), database_url).outcomes

    assert {outcome.rule.name: set(outcome.sample_ids) for outcome in outcomes} == broken
    assert {outcome.rule.name: outcome.failed_count for outcome in outcomes} == {
        rule: len(ids) for rule, ids in broken.items()
    }
    assert not any(outcome.is_passed for outcome in outcomes)


def test_clean_events_raise_nothing(database_url: str, insert_event: Insert) -> None:
    for event in CLEAN:
        insert_event(**event)

    outcomes = validate(raw_llm_events_suite(SINCE), database_url).outcomes

    assert all(outcome.is_passed and not outcome.failed_count for outcome in outcomes)


def test_an_empty_table_passes(database_url: str) -> None:
    outcomes = validate(raw_llm_events_suite(SINCE), database_url).outcomes

    assert [outcome.rule for outcome in outcomes] == list(RULES)
    assert all(outcome.is_passed for outcome in outcomes)


def test_events_outside_the_window_are_not_looked_at(
    database_url: str, insert_event: Insert
) -> None:
    insert_event(usage_source="guess", loaded_at=SINCE)

    outcomes = validate(raw_llm_events_suite(SINCE), database_url).outcomes

    assert all(outcome.is_passed for outcome in outcomes)
