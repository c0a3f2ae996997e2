"""`llmscope prices`, straight against the database."""

import csv
import json
from pathlib import Path

import pytest

from cli.conftest import RunCli, Served

ADD = ("prices", "add", "openai", "gpt-4o*", "--price", "input=2", "--price", "output=8")


def test_a_price_is_set_changed_and_ended_by_new_rows(served: Served, run_cli: RunCli) -> None:
    assert run_cli(*ADD, "--from", "2026-11-01T00:00:00Z").stdout == "The next build uses it.\n"
    assert run_cli(*ADD, "--from", "2026-11-01T00:00:00Z").stdout == "It was so already.\n"
    cheaper = ("prices", "add", "openai", "gpt-4o*", "--price", "input=1.5")
    assert run_cli(*cheaper, "--from", "2026-12-01T00:00:00Z", "--reason", "deal").exit_code == 0
    end = ("prices", "end", "openai", "gpt-4o*", "--at", "2027-01-01T00:00:00Z")
    assert run_cli(*end).exit_code == 0

    rows = json.loads(run_cli("prices", "list", "--format", "json").stdout)
    assert [(r["token_kind"], r["usd"], r["valid_from"][:7], r["valid_to"][:7]) for r in rows] == [
        ("input", "2", "2026-11", "2026-12"),
        ("output", "8", "2026-11", "2027-01"),
        ("input", "1.5", "2026-12", "2027-01"),
    ]
    history = json.loads(run_cli("prices", "list", "--with-history", "--format", "json").stdout)
    assert len(history) == 2 + 3 + 3
    assert {row["reason"] for row in history} == {None, "deal"}


def test_a_list_is_imported_as_it_was_printed(
    served: Served, run_cli: RunCli, tmp_path: Path
) -> None:
    run_cli(*ADD)
    run_cli("prices", "add", "own", "llama-3*", "--price", "hour=2.40", "--for-tenant")
    file = tmp_path / "prices.csv"
    file.write_text(run_cli("prices", "list", "--format", "csv").stdout)
    assert [row["project"] for row in csv.DictReader(file.open())] == ["", "main", "main"]
    ended = run_cli("prices", "import", str(file))
    assert ended.stdout == "3 prices read, 0 models changed.\n"
    file.write_text(file.read_text().replace(",2.4,1 hour", ",3,1 hour"))
    assert "1 models changed" in run_cli("prices", "import", str(file)).stdout


def test_a_file_with_an_error_changes_nothing(
    served: Served, run_cli: RunCli, tmp_path: Path
) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("provider_name,model,token_kind,usd\nown,a,input,1\nown,b,inputs,1\n")
    ended = run_cli("prices", "import", str(file))
    assert ended.exit_code == 1
    assert f"{file}:3: token_kind must be one of input" in ended.stderr
    assert served.query("select count(*) from pricing.model_prices") == [(0,)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("prices", "add", "openai", "gpt-4o", "--price", "input"), "write it as input=0.25"),
        (("prices", "add", "openai", "gpt-4o", "--price", "inputs=1"), "token_kind must be one of"),
        (("prices", "add", "openai", "g*t", "--price", "input=1"), "may only end in one *"),
        (
            ("prices", "add", "openai", "gpt-4o", "--price", "input=1", "--project", "x"),
            "no project",
        ),
        (("prices", "import", "nowhere.csv"), "cannot be read"),
        (("prices", "show-unpriced"), "The marts are not built yet"),
    ],
)
def test_what_goes_wrong_is_told(
    served: Served, run_cli: RunCli, arguments: tuple[str, ...], sentence: str
) -> None:
    ended = run_cli(*arguments)
    assert ended.exit_code == 1
    assert sentence in ended.stderr
