"""`llmscope alerts` and /api/v1/alert-rules, which share one table."""

import json
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml

from cli.conftest import RunCli, Served
from ingest_api.database.keys import find_project, set_rollup_tags

PATH = "/api/v1/alert-rules"
RULE: dict[str, Any] = {"name": "spend", "metric": "cost", "threshold": 10}
NOBODY = "00000000-0000-0000-0000-000000000009"
INSERT_ALERT = """
insert into app.alert_events (rule_id, tenant_id, project_id, rule_name, severity, state,
    pending_since, window_start, window_end, threshold, definition, evaluated_at, value)
select r.rule_id, r.tenant_id, r.project_id, r.name, r.severity, 'firing', now(), now(), now(),
    r.threshold, '{"name": "spend", "metric": "cost", "threshold": "10"}', now(), 12.5
from app.alert_rules as r where r.name = 'spend'
"""


def call(served: Served, method: str, path: str = PATH, **request: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {served.key}"}
    return httpx.request(method, served.url + path, headers=headers, trust_env=False, **request)


def test_a_rule_is_created_changed_switched_and_deleted_by_the_api(served: Served) -> None:
    put = [
        call(served, "PUT", json=RULE | changes).json() for changes in ({}, {}, {"threshold": 9})
    ]
    assert [one["outcome"] for one in put] == ["created", "unchanged", "changed"]
    assert put[2]["changes"] == {"threshold": ["10", "9"]}
    (seen,) = call(served, "GET", params={"name": "spend"}).json()["rules"]
    assert (seen["rule"]["threshold"], seen["result"]) == ("9", None)
    assert call(served, "GET", params={"name": "other"}).json()["rules"] == []
    ids = {"ids": [seen["rule_id"], NOBODY]}
    off = call(served, "POST", f"{PATH}/enable", json={**ids, "is_enabled": False}).json()
    assert [one["outcome"] for one in off["results"]] == ["disabled", "not_found"]
    for outcome in ("deleted", "not_found"):
        gone = call(served, "POST", f"{PATH}/delete", json=ids).json()["results"]
        assert gone[0]["outcome"] == outcome


def test_an_import_is_all_or_nothing_and_a_dry_run_changes_nothing(served: Served) -> None:
    two = {"rules": [RULE, {**RULE, "name": "other"}]}
    dry = call(served, "POST", f"{PATH}/import", json={**two, "is_dry_run": True}).json()
    assert [one["outcome"] for one in dry["rules"]] == ["created", "created"]
    assert call(served, "GET").json()["rules"] == []
    bad = {"rules": [RULE, {**RULE, "name": "tagged", "group_by": "tag:team"}]}
    refused = call(served, "POST", f"{PATH}/import", json=bad)
    assert "tagged: tag team: the project does not declare it" in refused.json()["detail"]
    assert call(served, "GET").json()["rules"] == []
    call(served, "POST", f"{PATH}/import", json=two)
    one = {"rules": [RULE], "removes_others": True}
    found = call(served, "POST", f"{PATH}/import", json=one).json()["rules"]
    assert [(line["name"], line["outcome"]) for line in found] == [
        ("spend", "unchanged"), ("other", "deleted"),
    ]  # fmt: skip
    twice = call(served, "POST", f"{PATH}/import", json={"rules": [RULE, RULE]})
    assert "'spend' is there twice" in twice.json()["detail"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": "costs"}, "metric: must be one of"),
        ({"message": "{password}"}, "{password} is no placeholder"),
        ({"threshold": "1e400"}, "threshold: must lie"),
        ({"threshold": "1e-20000"}, "threshold: may have 9 decimal places"),
        ({"channels": ["nobody"]}, "there is no channel 'nobody'"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_the_api_refuses_what_is_no_rule(
    served: Served, changes: dict[str, Any], words: str
) -> None:
    answer = call(served, "PUT", json=RULE | changes)
    assert (answer.status_code, words in answer.json()["detail"]) == (422, True), answer.text


def test_rules_live_in_a_file_that_changes_nothing_the_second_time(
    served: Served, run_cli: RunCli, tmp_path: Path
) -> None:
    with psycopg.connect(served.settings.database_url) as connection:
        project_id = find_project(connection, "main")
        assert project_id is not None
        set_rollup_tags(connection, project_id, ["team"])
    added = run_cli(
        "alerts", "add", "spend", "cost", "--above", "12.50", "--window", "5m", "--for", "2m",
        "--group-by", "tag:team", "--severity", "error", "--model", "gpt-4o",
        "--set", "silences=[{days: [sat, sun], time_zone: Europe/Berlin}]",
    )  # fmt: skip
    assert added.exit_code == 0, added.stderr
    path = tmp_path / "rules.yaml"
    path.write_text(run_cli("alerts", "export").stdout)
    (rule,) = yaml.safe_load(path.read_text())["rules"]
    assert rule == {
        "name": "spend", "metric": "cost", "threshold": "12.50", "model": "gpt-4o",
        "group_by": "tag:team", "window_seconds": 300, "for_seconds": 120, "severity": "error",
        "silences": [{"days": ["sat", "sun"], "from_time": "00:00", "to_time": "24:00",
                      "time_zone": "Europe/Berlin"}],
    }  # fmt: skip
    assert run_cli("alerts", "import", str(path)).stdout == "unchanged spend\n"
    path.write_text(path.read_text().replace("12.50", "20"))
    dry = run_cli("alerts", "import", str(path), "--dry-run").stdout
    assert dry == "changed spend\n  threshold: 12.50 -> 20\n"
    assert run_cli("alerts", "import", str(path)).stdout == dry
    (seen,) = json.loads(run_cli("alerts", "rules", "--json").stdout)
    assert (seen["threshold"], seen["is_enabled"]) == ("20", True)
    run_cli("alerts", "change", "spend", "cool_down_seconds=600", "for_seconds=0")
    run_cli("alerts", "disable", "spend")
    (seen,) = json.loads(run_cli("alerts", "rules", "--json").stdout)
    assert (seen["cool_down_seconds"], seen["for_seconds"], seen["is_enabled"]) == (600, 0, False)
    assert "above 20.00 USD" in run_cli("alerts", "rules").stdout
    assert run_cli("alerts", "delete", "spend").exit_code == 0
    assert run_cli("alerts", "export").stdout == "rules: []\n"


def test_an_alert_is_listed_and_acknowledged_by_whoever_is_first(
    served: Served, run_cli: RunCli
) -> None:
    call(served, "PUT", json=RULE)
    with psycopg.connect(served.settings.database_url) as connection:
        connection.execute(INSERT_ALERT)
    assert "12.50 USD" in run_cli("alerts", "list", "--state", "firing").stdout
    (alert,) = call(served, "GET", "/api/v1/alerts", params={"state": "firing"}).json()["alerts"]
    body = {"ids": [alert["alert_event_id"], NOBODY], "by": "ann"}
    found = call(served, "POST", "/api/v1/alerts/acknowledge", json=body).json()["results"]
    assert [one["outcome"] for one in found] == ["acknowledged", "not_found"]
    run_cli("alerts", "acknowledge", alert["alert_event_id"], "--by", "bob")
    (alert,) = json.loads(run_cli("alerts", "list", "--json").stdout)
    assert alert["acknowledged_by"] == "ann"
    assert call(served, "GET", "/api/v1/alerts", params={"state": "missed"}).json() == {
        "alerts": []
    }


def test_what_cannot_be_done_is_one_sentence(served: Served, run_cli: RunCli) -> None:
    nonsense = ("alerts", "add", "x", "cost", "--above", "1")
    cases = [
        (("alerts", "add", "x", "cost"), "Give --above or --below"),
        ((*nonsense, "--window", "soon"), "write it as 5m, 1h or 2d"),
        ((*nonsense, "--set", "colour"), "write it as threshold=20"),
        ((*nonsense, "--set", "colour=red"), "unknown field `colour`"),
        ((*nonsense, "--channel", "nobody"), "there is no channel 'nobody'"),
        ((*nonsense, "--tag", "team=x"), "does not declare it"),
        (("alerts", "add", "x", "costs", "--above", "1"), "metric: must be one of"),
        (("alerts", "change", "x", "threshold=1"), "There is no rule 'x'"),
        (("alerts", "test", "x"), "There is no rule 'x'"),
        (("alerts", "acknowledge", "1", "--by", "me"), "is no id"),
        (("alerts", "acknowledge", NOBODY, "--by", "me"), "does not exist"),
        (("alerts", "import", "/nowhere.yaml"), "cannot be read"),
        (("alerts", "list", "--state", "red"), "it is pending, firing, resolved or missed"),
    ]
    for arguments, words in cases:
        ended = run_cli(*arguments)
        assert (ended.exit_code, ended.stdout) == (1, ""), arguments
        assert words in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
    for content in (b"rules: {", b"[]", b"rules: [1]", b"rules: [{name: x}]"):
        ended = run_cli("alerts", "import", "-", stdin=content)
        assert (ended.exit_code, len(ended.stderr.splitlines())) == (1, 1), ended
