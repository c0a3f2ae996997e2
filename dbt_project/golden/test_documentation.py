"""Every model has a tested key and a grain sentence, every column its words and its type."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestration.transforming import run_dbt

READ_BY_OTHERS = {"marts", "reports"}
NO_DATABASE = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "DBT_USE_COLORS": "false",
    "PATH": "/usr/bin:/bin",
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make dbt-docs` makes where there is no database."""
    folder = tmp_path_factory.mktemp("docs")
    folders = {"DBT_TARGET_PATH": str(folder), "DBT_LOG_PATH": str(folder)}
    for command in (["parse"], ["docs", "generate", "--empty-catalog", "--no-compile", "--static"]):
        subprocess.run(
            [sys.executable, run_dbt.__file__, *command],
            env={**NO_DATABASE, **folders},
            check=True,
            capture_output=True,
        )
    return folder


@pytest.fixture(scope="module")
def manifest(target: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((target / "manifest.json").read_text())
    return found


def models(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def test_every_model_says_what_one_row_is(manifest: dict[str, Any]) -> None:
    assert [m["name"] for m in models(manifest) if not m["description"].startswith("One row")] == []


def test_the_key_of_every_model_is_tested(manifest: dict[str, Any]) -> None:
    tested = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and (node.get("test_metadata") or {}).get("name") == "is_unique_by"
    }
    assert [m["name"] for m in models(manifest) if m["unique_id"] not in tested] == []


def test_every_column_is_described(manifest: dict[str, Any]) -> None:
    assert [
        f"{model['name']}.{column['name']}"
        for model in models(manifest)
        for column in model["columns"].values()
        if not column["description"].strip()
    ] == []


def test_what_others_read_has_an_enforced_contract(manifest: dict[str, Any]) -> None:
    assert [
        model["name"]
        for model in models(manifest)
        if model["schema"] in READ_BY_OTHERS and not model["config"]["contract"]["enforced"]
    ] == []


def test_every_report_is_read_by_an_exposure(manifest: dict[str, Any]) -> None:
    exposed = {
        name for one in manifest["exposures"].values() for name in one["depends_on"]["nodes"]
    }
    assert [
        model["name"]
        for model in models(manifest)
        if model["schema"] == "reports" and model["unique_id"] not in exposed
    ] == []


def test_the_docs_are_one_page_that_needs_no_network(target: Path) -> None:
    page = (target / "static_index.html").read_text()
    assert "fct_llm_calls" in page
    assert '<script src="http' not in page
