"""Rules evaluated without a database: what a window says, and what becomes of an alert."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from ingest_api.alerts.judging import UNREADABLE, Judgement, judge
from ingest_api.alerts.rules import AlertRule
from ingest_api.alerts.silences import Mute, WeeklySilence, is_silent
from ingest_api.alerts.states import OK, is_flipped, remind, resolve, step
from ingest_api.alerts.windows import MAX_CATCH_UP, ends_to_judge, last_end

T0 = datetime(2026, 11, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def rule(metric: str = "cost", threshold: object = 10, **changes: Any) -> AlertRule:
    return AlertRule(name="r", metric=metric, threshold=Decimal(str(threshold)), **changes)


def usage(calls: int, cost: object = None, **more: Any) -> dict[str, Any]:
    """Figures of a window."""
    known = None if cost is None else Decimal(str(cost))
    return {"call_count": calls, "total_cost_usd": known, **more}


class Window(NamedTuple):
    """A row of the table: a rule, the figures of a window, and what they say."""

    rule: AlertRule
    figures: Mapping[str, Any] | None
    said: tuple[object, ...]
    before: Mapping[str, Any] | None = None


ABOVE = rule()
BELOW = rule(direction="below")
DOUBLE = rule("calls", 2, compare_to="week_before")
WINDOWS = {
    "cost above": Window(ABOVE, usage(5, "10.01"), ("met", "10.01")),
    "cost at the threshold is not above": Window(ABOVE, usage(5, "10"), ("not_met", "10")),
    "a ten-millionth above is above": Window(ABOVE, usage(5, "10.0000001"), ("met", "10.0000001")),
    "cost below": Window(BELOW, usage(5, "9.99"), ("met", "9.99")),
    "cost at the threshold is not below": Window(BELOW, usage(5, "10"), ("not_met", "10")),
    "free calls cost 0": Window(BELOW, usage(5, "0"), ("met", "0")),
    "an empty window has no cost": Window(BELOW, None, ("no_data", None, "empty")),
    "no call has no cost": Window(BELOW, usage(0), ("no_data", None, "empty")),
    "unpriced is not 0": Window(BELOW, usage(5), ("no_data", None, "unpriced")),
    "unpriced is not above": Window(ABOVE, usage(5), ("no_data", None, "unpriced")),
    "nobody called": Window(rule("calls", 1, direction="below"), None, ("met", "0")),
    "nobody called, not above": Window(rule("calls", 1), None, ("not_met", "0")),
    "tokens": Window(
        rule("tokens", 99), usage(1, input_tokens=60, output_tokens=40), ("met", "100")
    ),
    "tokens of calls without usage": Window(
        rule("tokens", 99), usage(1, input_tokens=None, output_tokens=None), ("not_met", "0")
    ),
    "output tokens": Window(
        rule("output_tokens", 40), usage(1, input_tokens=60, output_tokens=40), ("not_met", "40")
    ),
    "error rate": Window(rule("error_rate", "0.1"), usage(8, error_count=1), ("met", "0.125")),
    "all failed": Window(rule("error_rate", "0.99"), usage(3, error_count=3), ("met", "1")),
    "a third": Window(rule("error_rate", 1), usage(3, error_count=1), ("not_met", "0.333333333")),
    "no call has no error rate": Window(
        rule("error_rate", 1, direction="below"), None, ("no_data", None, "empty")
    ),
    "too few calls": Window(
        rule("error_rate", "0.1", minimum_call_count=9),
        usage(8, error_count=8),
        ("no_data", None, "too_few_calls"),
    ),
    "just enough calls": Window(
        rule("error_rate", "0.1", minimum_call_count=8), usage(8, error_count=8), ("met", "1")
    ),
    "a minimum makes silence no data": Window(
        rule("calls", 5, direction="below", minimum_call_count=1),
        None,
        ("no_data", None, "too_few_calls"),
    ),
    "unpriced share": Window(
        rule("unpriced_share", "0.4"), usage(4, unpriced_call_count=2), ("met", "0.5")
    ),
    "missing usage": Window(
        rule("missing_usage_share", 0), usage(4, missing_usage_call_count=0), ("not_met", "0")
    ),
    "a percentile": Window(
        rule("latency_p95", 2), {"call_count": 9, "p50": 1.0, "p95": 2.5}, ("met", "2.5")
    ),
    "another percentile": Window(
        rule("latency_p50", 2), {"call_count": 9, "p50": 1.0, "p95": 2.5}, ("not_met", "1")
    ),
    "nothing measured": Window(
        rule("time_to_first_chunk_p50", 2, direction="below"), None, ("no_data", None, "empty")
    ),
    "dead letters": Window(rule("dead_letters", 0), {"dead_letters": 3}, ("met", "3")),
    "no dead letter": Window(rule("dead_letters", 0), None, ("not_met", "0")),
    "a lag": Window(rule("stream_lag_seconds", 60), {"stream_lag_seconds": 61.5}, ("met", "61.5")),
    "a lag that nobody knows": Window(
        rule("stream_lag_seconds", 60), None, ("no_data", None, "empty")
    ),
    "a budget": Window(rule("budget_use", "0.8"), {"budget_use": Decimal("0.81")}, ("met", "0.81")),
    "a budget that has ended": Window(rule("budget_use", "0.8"), None, ("no_data", None, "empty")),
    "an anomaly": Window(rule("anomaly", 0), {"anomaly": 1}, ("met", "1")),
    "no anomaly": Window(rule("anomaly", 0), None, ("not_met", "0")),
    "three times as many": Window(DOUBLE, usage(30), ("met", "3"), usage(10)),
    "twice as many is not above 2": Window(DOUBLE, usage(20), ("not_met", "2"), usage(10)),
    "nothing before": Window(DOUBLE, usage(20), ("no_data", None, "no_baseline"), None),
    "nothing after nothing": Window(DOUBLE, None, ("no_data", None, "empty"), None),
    "0 before": Window(
        rule(threshold=2, compare_to="day_before"),
        usage(9, 1),
        ("no_data", None, "no_baseline"),
        usage(9, 0),
    ),
    "unpriced before": Window(
        rule(threshold=2, compare_to="day_before"),
        usage(9, 1),
        ("no_data", None, "no_baseline"),
        usage(9),
    ),
    "fell to nothing": Window(
        rule("calls", "0.1", direction="below", compare_to="day_before"),
        None,
        ("met", "0"),
        usage(50),
    ),
    "too few before": Window(
        rule("error_rate", 2, compare_to="day_before", minimum_call_count=10),
        usage(10, error_count=9),
        ("no_data", None, "no_baseline"),
        usage(9, error_count=1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WINDOWS.values(), ids=WINDOWS.keys())
def test_a_window_says(case: Window) -> None:
    found = judge(case.rule, case.figures, case.before)
    value = None if found.value is None else f"{found.value.normalize():f}"
    assert (found.verdict, value, found.reason)[: len(case.said)] == case.said


def told(changes: Mapping[str, Any], minutes: str, start: datetime = T0) -> str:
    """What is told in each minute: (F)iring, (R)esolved, re(M)inder, p(ending), . for nothing.

    Args:
        changes: Of the rule.
        minutes: Of each minute: `+` met, `-` not met, `0` empty, `?` unpriced, `x` unreadable.
            An `a` before it: somebody acknowledges first.
    """
    wanted = rule("cost", **changes)
    figures = {"+": usage(1, 11), "-": usage(1, 1), "0": None, "?": usage(1)}
    alert, at, said = OK, start, ""
    for sign in minutes:
        if sign == "a":
            alert = type(alert)(**{**vars(alert), "is_acknowledged": True})
            continue
        found = UNREADABLE if sign == "x" else judge(wanted, figures[sign])
        silent = is_silent(wanted.silences, wanted.mutes, at)
        after = step(wanted, alert, found, at, at, is_silent=silent)
        letters = {"alert_firing": "F", "alert_resolved": "R", "alert_reminder": "M"}
        quiet = {"pending": "p", "firing": "f", "resolved": "r", "dropped": "d"}
        said += letters.get(after.message or "", quiet.get(after.change or "", "."))
        alert, at = after.alert, at + MINUTE
    return said


MUTED = {"mutes": [Mute(T0, T0 + 3 * MINUTE, "deploy")]}
TIMELINES = {
    "it fires once and resolves once": ({}, "-++-", ".F.R"),
    "it fires again": ({}, "+-+-", "FRFR"),
    "an empty window ends it": ({}, "+0", "FR"),
    "an unpriced window holds it": ({}, "+??-", "F..R"),
    "an unreadable window holds it": ({}, "+xx-", "F..R"),
    "unknown begins nothing": ({}, "?x0-", "...."),
    "a condition must last": ({"for_seconds": 120}, "++++", "p.F."),
    "one that does not last is dropped": ({"for_seconds": 120}, "++-+++", "p.dp.F"),
    "unknown does not drop it": ({"for_seconds": 120}, "+?+", "p.F"),
    "an empty window drops it": ({"for_seconds": 120}, "+0++", "pdp."),
    "it resolves as slowly as it fires": ({"for_seconds": 120}, "+++---", "p.F..R"),
    "to and fro is no news": ({"for_seconds": 120}, "+++-+-+--+", "p.F......."),
    "quiet is counted anew": ({"for_seconds": 60}, "++-+--", "pF...R"),
    "it cools down": ({"cool_down_seconds": 180}, "+-++++", "FRp.F."),
    "it cools down without cause": ({"cool_down_seconds": 180}, "+-+--+", "FRpd.F"),
    "cooling down counts from the end": ({"cool_down_seconds": 120}, "++++-++", "F...Rp" + "F"),
    "reminders": ({"remind_every_seconds": 120}, "++++++-", "F.M.M.R"),
    "reminders while nothing is known": ({"remind_every_seconds": 120}, "+??-", "F.MR"),
    "acknowledged, it reminds nobody": ({"remind_every_seconds": 120}, "+++a+++++-", "F.M.....R"),
    "and after it has resolved, it tells again": (
        {"remind_every_seconds": 120}, "+a++-+++", "F..RF.M",
    ),
    "silence tells when it ends": (MUTED, "+++++-", "f..F.R"),
    "what ends in silence is not told": (MUTED, "+-0-", "fr.."),
    "silence does not hold back an end": (
        {"mutes": [Mute(T0 + MINUTE, T0 + 9 * MINUTE)]}, "+-+-+", "FRfrf",
    ),
    "silence and pending": ({**MUTED, "for_seconds": 60}, "++++--", "pf.F.R"),
    "silence and reminders": (
        {"remind_every_seconds": 60, "mutes": [Mute(T0 + MINUTE, T0 + 3 * MINUTE)]},
        "+++++-", "F..MMR",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TIMELINES.values(), ids=TIMELINES.keys())
def test_minute_by_minute(case: tuple[Mapping[str, Any], str, str]) -> None:
    changes, minutes, expected = case
    assert told(changes, minutes) == expected


def berlin(days: list[Any], start: str = "00:00", end: str = "24:00") -> WeeklySilence:
    return WeeklySilence(days, start, end, "Europe/Berlin")


# The clocks of Europe: back at 01:00 UTC on Sunday 2026-10-25, forward on Sunday 2026-03-29.
SILENCES = {
    "in the evening": (berlin(["mon"], "22:00", "23:00"), "2026-11-02T21:30", True),
    "its end is loud": (berlin(["mon"], "22:00", "23:00"), "2026-11-02T22:00", False),
    "its start is silent": (berlin(["mon"], "22:00", "23:00"), "2026-11-02T21:00", True),
    "another day": (berlin(["tue"], "22:00", "23:00"), "2026-11-02T21:30", False),
    "over midnight, before": (berlin(["fri"], "22:00", "06:00"), "2026-11-06T22:00", True),
    "over midnight, after": (berlin(["fri"], "22:00", "06:00"), "2026-11-07T04:59", True),
    "over midnight, ended": (berlin(["fri"], "22:00", "06:00"), "2026-11-07T05:00", False),
    "over midnight, of the day before": (
        berlin(["fri"], "22:00", "06:00"), "2026-11-06T04:00", False,
    ),
    "a day of there, not of UTC": (berlin(["sat"]), "2026-11-06T23:00", True),
    "a day of there ends before UTC's": (berlin(["sat"]), "2026-11-07T23:00", False),
    "the hour that comes twice, first": (
        berlin(["sun"], "02:00", "03:00"), "2026-10-25T00:30", True,
    ),
    "the hour that comes twice, second": (
        berlin(["sun"], "02:00", "03:00"), "2026-10-25T01:30", True,
    ),
    "after both": (berlin(["sun"], "02:00", "03:00"), "2026-10-25T02:00", False),
    "the hour that is skipped is silent for nobody": (
        berlin(["sun"], "02:00", "03:00"), "2026-03-29T01:00", False,
    ),
    "nor is the minute before": (berlin(["sun"], "02:00", "03:00"), "2026-03-29T00:59", False),
    "in summer an hour earlier in UTC": (
        berlin(["mon"], "22:00", "23:00"), "2026-07-06T20:30", True,
    ),
    "a mute": (Mute(T0, T0 + MINUTE), "2026-11-02T12:00:59", True),
    "a mute has an end": (Mute(T0, T0 + MINUTE), "2026-11-02T12:01", False),
}  # fmt: skip


@pytest.mark.parametrize("case", SILENCES.values(), ids=SILENCES.keys())
def test_silence_goes_by_the_clock_of_its_place(
    case: tuple[WeeklySilence | Mute, str, bool],
) -> None:
    silence, instant, expected = case
    assert silence.holds_at(datetime.fromisoformat(instant).replace(tzinfo=UTC)) == expected


@pytest.mark.parametrize(
    ("then", "verdict", "reason", "flipped"),
    [
        (False, "met", None, True), (True, "met", None, False), (True, "not_met", None, True),
        (False, "not_met", None, False), (True, "no_data", "empty", True),
        (False, "no_data", "empty", False), (True, "no_data", "unpriced", False),
        (False, "no_data", "unpriced", False), (True, "no_data", "unreadable", False),
    ],
)  # fmt: skip
def test_late_data_flips_a_decision_only_by_what_it_knows(
    then: bool, verdict: Any, reason: Any, flipped: bool
) -> None:
    assert is_flipped(then, Judgement(verdict, reason=reason)) == flipped


@pytest.mark.parametrize(
    ("window_minutes", "judged", "newest", "expected"),
    [
        (1, None, 9, [9]), (1, 8, 9, [9]), (1, 9, 9, []), (1, 6, 9, [7, 8, 9]), (60, 6, 9, [9]),
        (2, 5, 9, [7, 9]), (2, 6, 9, [7, 9]), (1, 10, 9, []), (5, -20, 9, [-16, -11, -6, -1, 4, 9]),
    ],
)  # fmt: skip
def test_no_minute_goes_unjudged(
    window_minutes: int, judged: int | None, newest: int, expected: list[int]
) -> None:
    until = None if judged is None else T0 + judged * MINUTE
    ends = ends_to_judge(window_minutes * MINUTE, until, T0 + newest * MINUTE)
    assert ends == [T0 + minute * MINUTE for minute in expected]


def test_after_an_outage_a_bounded_number_is_caught_up_with() -> None:
    ends = ends_to_judge(MINUTE, T0 - timedelta(days=9), T0)
    assert (len(ends), ends[-1]) == (MAX_CATCH_UP, T0)


@pytest.mark.parametrize(
    ("second", "minute"), [(4, -1), (5, 0), (59, 0), (64, 0), (65, 1)]
)  # fmt: skip
def test_a_minute_is_judged_once_its_last_events_are_in(second: int, minute: int) -> None:
    assert last_end(T0 + timedelta(seconds=second)) == T0 + minute * MINUTE


def test_the_end_of_what_was_never_told_is_not_told() -> None:
    silent = step(ABOVE, OK, judge(ABOVE, usage(1, 11)), T0, T0, is_silent=True).alert
    assert resolve(silent, T0 + MINUTE).message is None
    loud = remind(ABOVE, silent, T0 + MINUTE, is_silent=False)
    assert (loud.message, resolve(loud.alert, T0).message) == ("alert_firing", "alert_resolved")
