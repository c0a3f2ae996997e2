"""Evaluations on marts that dbt has built, minute by minute, with the outbox that they fill."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest

from benchmarks.alerts import MAX_SECONDS, RULES, rules
from dbt_project.golden.ledger import (
    PROJECT_ID,
    TENANT_ID,
    build,
    create_project,
    event,
    insert_events,
)
from ingest_api.alerts.backtest import BacktestError, backtest
from ingest_api.alerts.messages import Links
from ingest_api.alerts.reading import Reader
from ingest_api.alerts.rules import AlertRule
from ingest_api.alerts.silences import Mute
from ingest_api.alerts.trial import try_rule
from ingest_api.database.alert_rules import add_rule, change_rule, find_rule, remove_rules
from ingest_api.database.alerts import acknowledge, list_alerts, try_lock
from orchestration.alerting.alert_checks import outcomes
from orchestration.alerting.evaluation import Evaluation, evaluate
from orchestration.pricing.catalog import bundled_catalog
from orchestration.pricing.refresh import refresh_prices
from tests.marts import new_database
from tests.running import RunningPlatform

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LINKS = Links("http://api", "http://dagster")
# A call of gpt-4o with so many output tokens costs 1 USD.
DOLLAR = 100_000
OUTBOX = """
select payload->>'kind', payload->>'title', idempotency_key, payload from app.notifications
order by notification_id
"""
# As a build would that follows late calls.
LATE = """
update marts.fct_usage_minutely
set total_cost_usd = total_cost_usd * %s, error_count = error_count * %s
where usage_minute = %s
"""


def calls(minute: int, count: int = 1, second: int = 0, **fields: Any) -> list[dict[str, Any]]:
    good = {
        "provider_name": "openai", "request_model": "gpt-4o", "response_model": None,
        "input_tokens": 0, "output_tokens": DOLLAR, "user_id": "ann", "duration_seconds": 1.0,
        "started_at": NOON + minute * MINUTE + timedelta(seconds=second),
        "loaded_at": NOON + timedelta(hours=1),
    }  # fmt: skip
    return [event(**good | fields) for _ in range(count)]


def events() -> Iterator[list[dict[str, Any]]]:
    """Minutes from noon: what is in each, and nothing in those that are not named."""
    yield calls(0, 2)
    yield calls(1, 12) + calls(1, 12, user_id="bob", duration_seconds=9.0)
    yield calls(2, 3, request_model="nobody-knows-it")
    yield calls(4, 12, tags={"team": "search"})
    yield calls(5, second=0) + calls(5, second=59)
    yield calls(7, 2, error_type="timeout", output_tokens=None) + calls(7, 2)


@pytest.fixture(scope="module")
def built(services: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with the marts of `events`."""
    with new_database(services, "alerts") as url:
        with psycopg.connect(url) as connection:
            create_project(connection)
            connection.execute("update app.projects set rollup_tags = '{team}'")
            for rows in events():
                insert_events(connection, rows)
            refresh_prices(connection, bundled_catalog(), NOON + timedelta(hours=2))
        build(url, tmp_path_factory.mktemp("dbt"), NOON + timedelta(hours=2))
        yield url


class Clock:
    """Evaluates at minutes from noon, in a transaction that is rolled back at the end."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        row = connection.execute(
            "insert into app.notification_channels (tenant_id, name, kind) "
            "values (%s, 'ops', 'webhook') returning channel_id", [TENANT_ID]
        ).fetchone()  # fmt: skip
        assert row is not None
        self.channel_id: UUID = row[0]

    def add(self, metric: str, threshold: object, **changes: Any) -> UUID:
        good = {"name": metric, "window_seconds": 60, "channels": ["ops"]}
        rule = AlertRule(metric=metric, threshold=Decimal(str(threshold)), **good | changes)
        added = add_rule(self.connection, TENANT_ID, changes.pop("project_id", PROJECT_ID), rule)
        return added.stored.rule_id

    def at(self, minute: float, lag: float | None = None) -> Evaluation:
        """Judge windows that end at `minute`, or before."""
        now = NOON + minute * MINUTE + timedelta(seconds=6)
        found = evaluate(self.connection, now, LINKS, lambda: lag)
        assert found is not None
        return found

    def verdict(self, rule_id: UUID, minute: int) -> tuple[str, str | None]:
        """What the window says that ends at `minute`."""
        result = self.at(minute).results[rule_id]
        return result.verdict, None if result.value is None else f"{result.value.normalize():f}"

    def told(self) -> list[tuple[str, str]]:
        return [(kind, title) for kind, title, _, _ in self.connection.execute(OUTBOX)]

    def states(self) -> list[tuple[str, str]]:
        return sorted((one.group_value, one.state) for one in list_alerts(self.connection))


@pytest.fixture
def clock(built: str) -> Iterator[Clock]:
    with psycopg.connect(built) as connection:
        yield Clock(connection)
        connection.rollback()


def test_spend_above_a_threshold_is_told_once_and_so_is_its_end(clock: Clock) -> None:
    rule_id = clock.add("cost", 10, runbook_url="https://runbook")
    for minute in range(7):
        clock.at(minute)
        clock.at(minute)
    firing, resolved, *_ = clock.connection.execute(OUTBOX).fetchall()
    assert [kind for kind, *_ in clock.told()] == ["alert_firing", "alert_resolved"] * 2
    assert firing[1] == "cost: 24.00 USD"
    assert firing[3]["dedup_key"] == resolved[3]["dedup_key"]
    assert dict(firing[3]["figures"]) == {
        "value": "24.00 USD", "threshold": "above 10.00 USD", "calls": "24",
        "window": "2026-11-02 12:01 UTC to 2026-11-02 12:02 UTC",
        "scope": f"project=project {PROJECT_ID.int}",
    }  # fmt: skip
    assert firing[3]["runbook_url"] == "https://runbook"
    assert "checkDetail=no_warning_alert_fires" in firing[3]["url"]
    newest, oldest = list_alerts(clock.connection)
    assert (oldest.fired_at, oldest.resolved_at) == (NOON + 2 * MINUTE, NOON + 4 * MINUTE)
    assert (newest.rule_id, newest.state) == (rule_id, "resolved")
    # An unpriced minute told nothing: it ended with the empty one behind it.
    assert oldest.resolved_reason == "no call in the window"
    row = clock.connection.execute(oldest.query or "").fetchone()
    assert row is not None
    assert oldest.fired_value in row


@pytest.mark.parametrize(
    ("metric", "changes", "minute", "expected"),
    [
        ("cost", {}, 1, ("not_met", "2")),
        ("cost", {}, 2, ("met", "24")),
        ("cost", {}, 3, ("no_data", None)),
        ("cost", {}, 4, ("no_data", None)),
        # An instant belongs to the window that it begins, and to none that it ends.
        ("calls", {}, 5, ("met", "12")),
        ("calls", {}, 6, ("not_met", "2")),
        ("calls", {}, 7, ("not_met", "0")),
        ("cost", {"window_seconds": 300}, 5, ("met", "38")),
        ("cost", {"window_seconds": 3600}, 60, ("met", "42")),
        ("cost", {"window_seconds": 31 * 86400}, 60, ("met", "42")),
        ("cost", {"user_id": "bob"}, 2, ("met", "12")),
        ("cost", {"user_id": "bob", "window_seconds": 3600}, 60, ("met", "12")),
        ("cost", {"user_id": "eve"}, 2, ("no_data", None)),
        ("calls", {"model": "nobody-knows-it"}, 3, ("not_met", "3")),
        ("calls", {"provider_name": "anthropic"}, 2, ("not_met", "0")),
        ("tokens", {}, 1, ("met", "200000")),
        ("calls", {"tag_key": "team", "tag_value": "search"}, 5, ("met", "12")),
        ("calls", {"tag_key": "team", "tag_value": "ads"}, 5, ("not_met", "0")),
        ("error_rate", {"threshold": "0.4"}, 8, ("met", "0.5")),
        ("error_rate", {"threshold": "0.4", "minimum_call_count": 5}, 8, ("no_data", None)),
        ("missing_usage_share", {"threshold": "0.6"}, 8, ("not_met", "0")),
        ("unpriced_share", {"threshold": "0.9"}, 3, ("met", "1")),
        ("dead_letters", {"threshold": 0}, 2, ("not_met", "0")),
        ("calls", {"compare_to": "day_before", "threshold": 1}, 2, ("no_data", None)),
    ],
)
def test_a_window_is_read_from_the_marts(
    clock: Clock, metric: str, changes: dict[str, Any], minute: int, expected: tuple[str, str]
) -> None:
    threshold = changes.pop("threshold", 10)
    assert clock.verdict(clock.add(metric, threshold, **changes), minute) == expected


def test_percentiles_are_those_of_the_histogram(clock: Clock) -> None:
    slow = clock.add("latency_p99", 8)
    by_user = clock.add("latency_p50", 8, name="by user", group_by="user_id")
    results = clock.at(2).results
    assert results[slow].value == pytest.approx(Decimal(9), rel=Decimal("0.02"))
    assert results[by_user].met_groups == ["bob"]


def test_every_group_has_an_alert_of_its_own_and_new_groups_begin_theirs(clock: Clock) -> None:
    clock.add("cost", 10, group_by="user_id", name="by user")
    clock.at(1)
    clock.at(2)
    assert clock.states() == [("ann", "firing"), ("bob", "firing")]
    for minute in (3, 4, 5):
        clock.at(minute)
    assert clock.states() == [("ann", "firing"), ("ann", "resolved"), ("bob", "resolved")]
    assert [title for kind, title in clock.told() if kind == "alert_firing"] == [
        "by user (ann): 12.00 USD", "by user (bob): 12.00 USD", "by user (ann): 12.00 USD",
    ]  # fmt: skip


def test_a_rule_of_the_tenant_adds_its_projects_up(clock: Clock) -> None:
    other = UUID(int=77)
    create_project(clock.connection, other)
    rule = AlertRule(name="all", metric="cost", threshold=Decimal(1), window_seconds=60)
    theirs = add_rule(clock.connection, TENANT_ID, other, rule).stored.rule_id
    everybody = add_rule(clock.connection, TENANT_ID, None, rule).stored.rule_id
    results = clock.at(2).results
    assert (results[everybody].value, results[theirs].value) == (24, None)


def test_minutes_that_nobody_evaluated_are_caught_up_with(clock: Clock) -> None:
    clock.add("cost", 10)
    clock.at(0)
    clock.at(4)
    assert [kind for kind, _ in clock.told()] == ["alert_firing", "alert_resolved"]


def test_late_data_that_meets_a_condition_tells_nobody_and_is_noted(clock: Clock) -> None:
    clock.add("cost", 10)
    clock.at(6)
    clock.connection.execute(LATE, [6, 1, NOON + 5 * MINUTE])
    clock.at(6.5)
    assert clock.states() == []
    clock.at(7)
    (missed,) = list_alerts(clock.connection)
    assert (missed.state, missed.value, missed.told_at, clock.told()) == ("missed", 12, None, [])
    assert "12.00 USD, which meets the condition" in missed.notes[0]["text"]


def test_late_data_that_would_not_have_fired_ends_nothing_and_is_noted(clock: Clock) -> None:
    clock.add("cost", 10, window_seconds=180)
    clock.at(2)
    clock.connection.execute(LATE, [0.1, 1, NOON + MINUTE])
    for minute in (3, 4):
        clock.at(minute)
    (alert,) = list_alerts(clock.connection)
    assert (alert.fired_value, alert.value, alert.state) == (26, Decimal("4.4"), "resolved")
    assert "4.40 USD, which does not meet" in alert.notes[0]["text"]
    assert [kind for kind, _ in clock.told()] == ["alert_firing", "alert_resolved"]


def test_a_silence_holds_messages_back_and_tells_at_its_end(clock: Clock) -> None:
    clock.add("cost", 10, mutes=[Mute(NOON, NOON + 2.5 * MINUTE)])
    clock.at(2)
    assert (clock.states(), clock.told()) == ([("", "firing")], [])
    clock.at(2.6)
    assert clock.told() == [("alert_firing", "cost: 24.00 USD")]


def test_reminders_end_with_an_acknowledgement(clock: Clock) -> None:
    clock.add("calls", 10, remind_every_seconds=60, window_seconds=300)
    clock.at(2)
    clock.at(3)
    (alert,) = list_alerts(clock.connection)
    assert acknowledge(clock.connection, alert.alert_event_id, "ann") == "acknowledged"
    acknowledge(clock.connection, alert.alert_event_id, "bob")
    clock.at(4)
    clock.at(5)
    assert [kind for kind, _ in clock.told()] == ["alert_firing", "alert_reminder"]
    (alert,) = list_alerts(clock.connection)
    assert (alert.acknowledged_by, alert.call_count) == ("ann", 41)


@pytest.mark.parametrize("how", ["removed", "disabled", "changed"])
def test_an_alert_whose_rule_is_gone_is_over(clock: Clock, how: str) -> None:
    rule_id = clock.add("cost", 10)
    clock.at(2)
    record = find_rule(clock.connection, rule_id)
    assert record is not None
    if how == "removed":
        remove_rules(clock.connection, [rule_id])
    else:
        changes = {"is_enabled": False} if how == "disabled" else {"model": "gpt-4o-mini"}
        fields = {name: getattr(record.rule, name) for name in record.rule.__struct_fields__}
        change_rule(clock.connection, record.stored, AlertRule(**fields | changes))
    clock.at(3)
    assert [kind for kind, _ in clock.told()] == ["alert_firing", "alert_resolved"]
    assert clock.states() == [("", "resolved")]


def test_what_is_rolled_back_never_happened_and_happens_once_when_done_again(
    clock: Clock,
) -> None:
    clock.add("cost", 10)
    for _ in range(2):
        with clock.connection.transaction(force_rollback=True):
            clock.at(2)
            assert len(clock.told()) == 1
    assert (clock.told(), clock.states()) == ([], [])
    clock.at(2)
    clock.at(2)
    assert len(clock.told()) == 1


def test_two_evaluations_never_meet(clock: Clock, built: str) -> None:
    with psycopg.connect(built) as other:
        assert try_lock(other)
        assert evaluate(clock.connection, NOON, LINKS) is None


def test_the_lag_of_the_stream_is_asked_for_where_a_rule_watches_it(clock: Clock) -> None:
    rule_id = clock.add("stream_lag_seconds", 60)
    assert clock.at(1).results[rule_id].verdict == "no_data"
    assert clock.at(2, lag=61.0).results[rule_id].value == 61


def test_a_mart_that_is_missing_takes_no_other_rule_with_it(clock: Clock) -> None:
    good, bad = clock.add("cost", 10), clock.add("budget_use", 1)
    clock.connection.execute("alter table marts.fct_budget_use_daily rename to away")
    results = clock.at(2).results
    assert results[good].verdict == "met"
    assert (results[bad].verdict, results[bad].reason) == ("no_data", "unreadable")


def test_a_build_that_is_under_way_is_waited_for(clock: Clock) -> None:
    clock.add("cost", 10)
    clock.connection.execute(
        "update marts.fct_llm_calls set cost_computed_at = now() + interval '1 day', "
        "loaded_at = %s where started_at < %s", [NOON + 1.5 * MINUTE, NOON + MINUTE]
    )  # fmt: skip
    assert clock.at(4).judged_until == NOON + MINUTE


def past(clock: Clock, metric: str, threshold: object, **changes: Any) -> list[tuple[str, ...]]:
    """When a rule would have fired in the day that ends an hour after noon, and how long."""
    record = find_rule(clock.connection, clock.add(metric, threshold, **changes))
    assert record is not None
    found = backtest(Reader(clock.connection), record.stored, NOON + timedelta(hours=1), days=1)
    return [
        (one.group_value, f"{one.fired_at:%H:%M}", f"{one.resolved_at or NOON:%H:%M}")
        for one in found.alerts
    ]


@pytest.mark.parametrize(
    ("metric", "changes", "expected"),
    [
        ("cost", {}, [("", "12:02", "12:04"), ("", "12:05", "12:06")]),
        ("cost", {"window_seconds": 300}, [("", "12:02", "12:10")]),
        ("cost", {"for_seconds": 60, "window_seconds": 120}, [("", "12:03", "12:08")]),
        ("cost", {"window_seconds": 86400}, [("", "13:00", "12:00")]),
        ("cost", {"window_seconds": 86400, "user_id": "bob"}, [("", "13:00", "12:00")]),
        ("calls", {"threshold": 1, "compare_to": "day_before"}, []),
        ("latency_p99", {"threshold": 8}, [("", "12:02", "12:03")]),
        ("latency_p50", {"threshold": 8, "group_by": "user_id"}, [("bob", "12:02", "12:03")]),
        ("cost", {"group_by": "user_id"}, [
            ("ann", "12:02", "12:04"), ("bob", "12:02", "12:03"), ("ann", "12:05", "12:06"),
        ]),
        ("dead_letters", {"threshold": 0}, []),
        ("budget_use", {"threshold": 1}, []),
    ],
)  # fmt: skip
def test_a_backtest_says_when_a_rule_would_have_fired(
    clock: Clock, metric: str, changes: dict[str, Any], expected: list[tuple[str, ...]]
) -> None:
    assert past(clock, metric, changes.pop("threshold", 10), **changes) == expected


def test_the_past_of_the_lag_is_not_kept(clock: Clock) -> None:
    with pytest.raises(BacktestError, match="is not kept"):
        past(clock, "stream_lag_seconds", 1)


def test_a_trial_says_what_would_be_told_and_stores_nothing(clock: Clock) -> None:
    record = find_rule(
        clock.connection, clock.add("cost", 10, group_by="user_id", message="{group}: {value}")
    )
    assert record is not None
    found = try_rule(Reader(clock.connection), record.stored, NOON + 2 * MINUTE + 6 * MINUTE / 60)
    assert found is not None
    assert [one.message for one in found.groups] == ["ann: 12.00 USD", "bob: 12.00 USD"]
    assert clock.states() == []


def test_the_check_of_a_severity_fails_and_names_what_fires(clock: Clock) -> None:
    clock.add("cost", 10, severity="critical")
    clock.add("calls", 10, severity="info", name="many")
    *by_severity, evaluated = outcomes(clock.at(2), NOON + 2 * MINUTE)
    found = {one.outcome.rule.name: one.outcome for one in by_severity}
    assert {name: one.is_passed for name, one in found.items()} == {
        "no_info_alert_fires": False, "no_warning_alert_fires": True,
        "no_error_alert_fires": True, "no_critical_alert_fires": False,
    }  # fmt: skip
    words = found["no_critical_alert_fires"].rule.description
    assert words == "Fires: cost 24.00 USD, above 10.00 USD."
    assert evaluated.outcome.is_passed
    (late,) = [outcomes(clock.at(3), NOON + timedelta(hours=1))[-1].outcome]
    assert late.failed_count == 2


def test_five_hundred_rules_are_read_in_few_statements(clock: Clock) -> None:
    clock.connection.execute("update app.projects set rollup_tags = '{team,feature,customer_tier}'")
    for rule in rules():
        add_rule(clock.connection, TENANT_ID, PROJECT_ID, rule)
    clock.at(1)
    started = time.perf_counter()
    found = clock.at(2)
    seconds = time.perf_counter() - started
    assert len(found.results) == RULES
    assert seconds < MAX_SECONDS, f"{seconds:.2f} s"
