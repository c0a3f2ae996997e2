from datetime import UTC, datetime

import dagster as dg

from orchestration.checking.anomaly_checks import NewestRow, judge_newest

AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
USUAL = NewestRow("p1", "checkout", None, "calls", None, AT, 90, 100, False)
SPIKE = NewestRow("p1", "checkout", "gpt-4o", "cost", "spike", AT, 412.5, 3.21, True)


def test_hours_as_expected_pass() -> None:
    result = judge_newest([USUAL]).check_result()
    assert result.passed
    assert judge_newest([]).check_result().passed


def test_an_anomaly_warns_and_is_named() -> None:
    result = judge_newest([SPIKE, USUAL]).check_result()
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    found = judge_newest([SPIKE, USUAL]).outcome
    assert found.failed_ratio == 0.5
    assert found.failed_by_project == {"p1": 1}
    assert found.sample_ids == (
        "checkout, gpt-4o: spike of cost at 2026-11-02 12:00, 412.5 where 3.21 was expected",
    )
