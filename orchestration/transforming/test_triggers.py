from datetime import UTC, datetime, timedelta

import pytest

from orchestration.transforming.dbt_args import build_args, dbt_environment, split_args
from orchestration.transforming.triggers import (
    MAX_COUNTED_FAILURES,
    MAX_RETRY_WAIT,
    MIN_INTERVAL,
    LastBuild,
    retry_wait,
    skip_reason,
)

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
LATELY = NOW - timedelta(seconds=20)
A_MINUTE_AGO = NOW - MIN_INTERVAL
RUNNING = LastBuild(A_MINUTE_AGO, None)
DONE = LastBuild(A_MINUTE_AGO, LATELY)
DONE_LATELY = LastBuild(A_MINUTE_AGO + timedelta(seconds=1), LATELY)
FAILED = LastBuild(A_MINUTE_AGO, LATELY, failure_count=1)
FAILED_A_MINUTE_AGO = LastBuild(NOW - 2 * MIN_INTERVAL, A_MINUTE_AGO, failure_count=1)
FAILED_TWICE = LastBuild(NOW - 2 * MIN_INTERVAL, A_MINUTE_AGO, failure_count=2)
FAILED_OFTEN = LastBuild(
    NOW - 2 * MAX_RETRY_WAIT, NOW - MAX_RETRY_WAIT, failure_count=MAX_COUNTED_FAILURES
)


@pytest.mark.parametrize(
    ("last_build", "has_work", "starts_with"),
    [
        (None, True, None),
        (None, False, None),
        (DONE, True, None),
        (DONE_LATELY, True, "The last build was asked for"),
        (DONE, False, "No row was loaded"),
        (RUNNING, True, "A build is in flight"),
        (FAILED, True, None),
        (FAILED, False, "The last build failed"),
        (FAILED_A_MINUTE_AGO, False, None),
        (FAILED_TWICE, False, "The last build failed"),
        (FAILED_OFTEN, False, None),
    ],
)
def test_a_build_starts_at_first_and_on_new_rows_and_never_beside_another(
    last_build: LastBuild | None, has_work: bool, starts_with: str | None
) -> None:
    reason = skip_reason(last_build, has_work, NOW)
    assert reason is None if starts_with is None else (reason or "").startswith(starts_with)


def test_the_wait_after_failures_doubles_up_to_its_limit() -> None:
    waits = [retry_wait(n).total_seconds() for n in range(1, MAX_COUNTED_FAILURES + 1)]
    assert waits == [60, 120, 240, 480, 600]


def test_the_bound_of_a_build_carries_its_time_zone() -> None:
    args, environment = split_args(build_args(NOW))
    assert args == ["build", "--exclude-resource-type", "unit_test"]
    assert environment == {"LLMSCOPE_LOADED_BEFORE": "2026-11-02T12:00:00+00:00"}
    with pytest.raises(ValueError, match="time zone"):
        build_args(datetime(2026, 11, 2))  # noqa: DTZ001 - the point of the test


def test_the_database_url_reaches_dbt_with_its_escapes_resolved() -> None:
    url = "postgresql://me:p%40ss@db:5433/ledger"
    spelled = dbt_environment({"DATABASE_URL": url})
    names = ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE")
    assert [spelled[name] for name in names] == ["db", "5433", "me", "p@ss", "ledger"]
