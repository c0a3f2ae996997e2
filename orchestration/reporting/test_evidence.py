"""How Evidence is called, and what its output says."""

from pathlib import Path

import pytest

from orchestration.reporting.evidence import (
    failed_lines,
    process_environment,
    source_environment,
    written_row_count,
)

PREFIX = "EVIDENCE_SOURCE__llmscope__"


@pytest.mark.parametrize(
    ("database_url", "expected"),
    [
        (
            "postgresql://ann:s%40fe@db.example:6432/llmscope",
            {"host": "db.example", "port": "6432", "user": "ann", "password": "s@fe"},
        ),
        ("postgresql://ann@/llmscope?host=/run/pg", {"host": "/run/pg", "port": "5432"}),
        ("postgres://ann@[::1]/llmscope", {"host": "::1", "database": "llmscope"}),
        ("postgresql://ann@db/llmscope?sslmode=require", {"ssl": "true"}),
    ],
)
def test_the_source_is_told_what_the_database_url_says(
    database_url: str, expected: dict[str, str]
) -> None:
    environment = source_environment(database_url)
    assert {key: environment[PREFIX + key] for key in expected} == expected


def test_without_sslmode_the_source_is_not_asked_for_tls() -> None:
    assert PREFIX + "ssl" not in source_environment("postgresql://ann@db/llmscope")


def test_evidence_writes_below_the_state_folder_of_the_clone(tmp_path: Path) -> None:
    environment = process_environment(
        {"PATH": "/bin"}, "postgresql://ann@db/llmscope", tmp_path / "reports"
    )
    assert environment["LLMSCOPE_HOME"] == str(tmp_path)
    assert environment["PATH"] == "/bin"


@pytest.mark.parametrize(
    "line",
    [
        "Error in Query: usage: Binder Error",
        '  \x1b[31m✖\x1b[39m Error: relation "reports.rpt_freshness" does not exist',
        "[!!] something is deprecated",
    ],
)
def test_an_output_with_a_failed_query_is_noticed(line: str) -> None:
    assert len(failed_lines(f"  usage_daily ✔ Finished, wrote 3 rows.\n{line}\n")) == 1


def test_an_output_without_a_failed_query_is_accepted() -> None:
    assert (
        failed_lines("  usage_daily ✔ Finished, wrote 3 rows.\n errors_daily ✔ wrote 0 rows") == []
    )


def test_the_rows_of_all_tables_are_counted() -> None:
    output = "usage ✔ Finished, wrote 1200 rows.\n\x1b[32merrors ✔ Finished, wrote 34 rows.\x1b[0m"
    assert written_row_count(output) == 1234
