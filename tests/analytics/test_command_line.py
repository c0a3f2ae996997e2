"""`llmscope top` and `llmscope costs` show what the API answers."""

import json
from collections.abc import Callable, Iterator

import pytest

from cli.__main__ import main
from cli.conftest import serving
from ingest_api.settings import Settings
from tests.analytics.conftest import Ledger
from tests.analytics.ledger import NOW, START

PERIOD = ["--from", START.isoformat(), "--to", NOW.isoformat()]


@pytest.fixture
def run_cli(
    settings: Settings,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Callable[..., str]]:
    """Runs `llmscope` for project `a`; gives what it printed."""
    with serving(settings) as url:
        monkeypatch.setenv("LLMSCOPE_URL", url)
        monkeypatch.setenv("LLMSCOPE_API_KEY", ledger.a.key)

        def run(*arguments: str) -> str:
            with pytest.raises(SystemExit):
                main(arguments)
            return "".join(capsys.readouterr())

        yield run


def test_top_shows_the_dearest_and_all_others(run_cli: Callable[..., str], ledger: Ledger) -> None:
    lines = run_cli("top", "user_id", "-n", "3", *PERIOD).splitlines()
    assert lines[0].split()[:2] == ["USER", "ID"]
    assert len(lines) == 5
    assert lines[-1].startswith("(all others)")
    answer = json.loads(run_cli("top", "user_id", "-n", "3", "--json", *PERIOD))
    assert sum(row["call_count"] for row in answer["rows"]) == len(ledger.calls)


def test_costs_show_prices(run_cli: Callable[..., str]) -> None:
    lines = run_cli("costs", "--model", "gpt-4o", *PERIOD).splitlines()
    assert {line.split()[2] for line in lines[1:]} == {"uncached_input", "cache_read", "output"}
    assert all("2.5" in line for line in lines if "uncached_input" in line)


def test_a_wrong_question_is_one_sentence(run_cli: Callable[..., str]) -> None:
    assert "422: by: String should match" in run_cli("top", "colour")
