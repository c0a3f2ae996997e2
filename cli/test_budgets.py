"""`llmscope budgets` and /api/v1/budgets, which share one table."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest

from cli.conftest import RunCli, Served
from ingest_api.database.budgets import next_month, read_month
from ingest_api.database.keys import find_project, set_rollup_tags

PATH = "/api/v1/budgets"
THIS_MONTH = datetime.now(UTC).date().replace(day=1)


def call(served: Served, method: str, path: str = PATH, **request: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {served.key}"}
    return httpx.request(method, served.url + path, headers=headers, trust_env=False, **request)


def test_a_budget_of_the_command_line_is_seen_and_ended_by_the_api(
    served: Served, run_cli: RunCli
) -> None:
    ended = run_cli(
        "budgets", "add", "support chat", "--month-usd", "99.50", "--service", "support-chat",
        "--json",
    )  # fmt: skip
    made = json.loads(ended.stdout)
    assert (made["scope"], made["month_usd"], made["state"]) == (
        "service=support-chat", "99.50", "active",
    )  # fmt: skip
    (seen,) = call(served, "GET").json()["budgets"]
    assert (seen["budget_id"], seen["month_usd"]) == (made["budget_id"], "99.500000")
    assert (seen["from_month"], seen["end_month"]) == (f"{THIS_MONTH:%Y-%m}", None)

    body = {"ids": [made["budget_id"], "00000000-0000-0000-0000-000000000009"]}
    for _ in range(2):
        results = call(served, "POST", f"{PATH}/end", json=body).json()["results"]
        assert [one["outcome"] for one in results] == ["ended", "not_found"]
    (listed,) = json.loads(run_cli("budgets", "list", "--json").stdout)
    assert listed["end_month"] == f"{next_month(THIS_MONTH):%Y-%m}"


def test_a_budget_of_the_api_is_ended_by_the_command_line(served: Served, run_cli: RunCli) -> None:
    body = {"name": "all", "month_usd": 10, "from_month": "2026-01", "model": "gpt-4o"}
    answer = call(served, "POST", json=body)
    assert (answer.status_code, answer.json()["model"]) == (201, "gpt-4o")
    budget_id = answer.json()["budget_id"]
    assert "model=gpt-4o" in run_cli("budgets", "list", "--project", "main").stdout
    ended = run_cli("budgets", "end", budget_id, "--month", "2026-02")
    assert (ended.exit_code, "2026-02 is the first month" in ended.stdout) == (0, True)
    (seen,) = call(served, "GET").json()["budgets"]
    assert (seen["end_month"], seen["state"]) == ("2026-02", "ended")


def test_a_tag_must_be_declared(served: Served, run_cli: RunCli) -> None:
    body = {"name": "search", "month_usd": "5", "tag_key": "team", "tag_value": "search"}
    assert "does not declare it" in call(served, "POST", json=body).json()["detail"]
    arguments = ("budgets", "add", "search", "--month-usd", "5", "--tag", "team=search")
    assert "does not declare it" in run_cli(*arguments).stderr
    with psycopg.connect(served.settings.database_url) as connection:
        project_id = find_project(connection, "main")
        assert project_id is not None
        set_rollup_tags(connection, project_id, ["team"])
    assert call(served, "POST", json=body).status_code == 201
    assert run_cli(*arguments).exit_code == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"month_usd": 0}, {"month_usd": "NaN"}, {"month_usd": "1e13"}, {"month_usd": "0.0000001"},
        {"name": ""}, {"from_month": "2026-13"}, {"from_month": "0000-01"}, {"tag_key": "a"},
        {"from_month": "2026-02", "end_month": "2026-01"}, {"user_id": "\0"}, {"colour": "red"},
    ],
)  # fmt: skip
def test_the_api_refuses_what_is_no_budget(served: Served, changes: dict[str, Any]) -> None:
    answer = call(served, "POST", json={"name": "x", "month_usd": 1, **changes})
    assert (answer.status_code, answer.json()["title"]) == (422, "A parameter is wrong")
    assert call(served, "GET").json() == {"budgets": []}


def test_what_cannot_be_done_is_one_sentence(served: Served, run_cli: RunCli) -> None:
    cases = [
        (["add", "x", "--month-usd", "much"], "write it as 250"),
        (["add", "x", "--month-usd", "0"], "must be above 0"),
        (["add", "x", "--month-usd", "5", "--tag", "team"], "write it as team=search"),
        (["add", "x", "--month-usd", "5", "--from-month", "soon"], "write it as 2026-11"),
        (["add", "x", "--month-usd", "5", "--project", "none"], "There is no project none"),
        (["end", "1"], "is no id"),
        (["end", "00000000-0000-0000-0000-000000000009"], "There is no budget"),
    ]
    for arguments, words in cases:
        ended = run_cli("budgets", *arguments)
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert words in ended.stderr
        assert len(ended.stderr.splitlines()) == 1


def test_months_follow_each_other() -> None:
    assert f"{next_month(read_month('2026-12')):%Y-%m}" == "2027-01"
