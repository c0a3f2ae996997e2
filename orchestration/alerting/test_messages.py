"""What a message says."""

from orchestration.alerting.messages import Evaluation, RunFailure, check_message, run_message

FAILED = Evaluation(
    storage_id=7,
    asset="raw/llm_events",
    check="calls_end_after_they_start",
    is_passed=False,
    severity="error",
    timestamp=1_700_000_000.25,
    run_id="r1",
    description="ended_at does not lie before started_at.",
    counts={"failed_count": 3, "failed_ratio": 0.5},
    sample_ids=("a", "b", "c"),
)


def test_a_failed_check_is_told_with_its_figures_and_where_to_look() -> None:
    assert check_message(FAILED, "http://dagster:8401/").payload() == {
        "kind": "check_failed",
        "idempotency_key": "check_failed/raw/llm_events:calls_end_after_they_start/7",
        "severity": "error",
        "occurred_at": "2023-11-14T22:13:20.250+00:00",
        "url": "http://dagster:8401/assets/raw/llm_events"
        "?view=checks&checkDetail=calls_end_after_they_start",
        "run_id": "r1",
        "description": "ended_at does not lie before started_at.",
        "asset": "raw/llm_events",
        "check": "calls_end_after_they_start",
        "job": None,
        "counts": {"failed_count": 3, "failed_ratio": 0.5},
        "sample_ids": ("a", "b", "c"),
    }


def test_a_failed_run_is_told_with_its_job() -> None:
    failure = RunFailure(9, "build_marts_job", "r2", 0.0, "Steps failed: ['dbt'].")

    message = run_message(failure, "http://dagster:8401")

    assert (message.kind, message.job, message.asset) == ("run_failed", "build_marts_job", None)
    assert message.url == "http://dagster:8401/runs/r2"
    assert message.idempotency_key == "run_failed/r2"
