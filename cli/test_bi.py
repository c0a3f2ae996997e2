"""`llmscope bi`: who is let in, and what a role can do from its first minute on."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from cli.conftest import RunCli, Served

NAME = "analyst_by_hand"


@pytest.fixture
def analyst(served: Served, run_cli: RunCli) -> Iterator[str]:
    """URL of a role of the tenant `default`; roles outlive the database of a test."""
    made = json.loads(run_cli("bi", "create-user", NAME, "--json").stdout)
    place = f"{NAME}:{made['password']}@{made['host']}:{made['port']}"
    yield urlsplit(served.settings.database_url)._replace(netloc=place).geturl()
    run_cli("bi", "drop-user", NAME)


def test_a_new_role_reads_prices_with_a_time_limit_and_nothing_else(analyst: str) -> None:
    with psycopg.connect(analyst) as connection:
        assert connection.execute("select count(*) from pricing.model_prices").fetchone()
        for setting, value in (
            ("default_transaction_read_only", "on"),
            ("statement_timeout", "1min"),
            ("idle_in_transaction_session_timeout", "10min"),
        ):
            row = connection.execute("select current_setting(%s)", [setting]).fetchone()
            assert row == (value,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select 1 from app.projects")


def test_roles_are_listed_and_dropped_with_their_sessions(analyst: str, run_cli: RunCli) -> None:
    (listed,) = json.loads(run_cli("bi", "list-users", "--json").stdout)
    assert (listed["name"], listed["tenant"], listed["is_member"]) == (NAME, "default", True)
    assert NAME in run_cli("bi", "list-users").stdout
    with psycopg.connect(analyst) as connection:
        assert run_cli("bi", "drop-user", NAME).exit_code == 0
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(analyst)
    assert json.loads(run_cli("bi", "list-users", "--json").stdout) == []


def test_the_password_is_shown_once_and_kept_as_a_hash(
    served: Served, analyst: str, run_cli: RunCli
) -> None:
    password = urlsplit(analyst).password
    assert password not in run_cli("bi", "list-users").stdout
    [(stored,)] = served.query(f"select rolpassword from pg_authid where rolname = '{NAME}'")
    assert str(stored).startswith("SCRAM-SHA-256$")


def test_what_cannot_be_done_is_one_sentence(analyst: str, run_cli: RunCli) -> None:
    for arguments, words in [
        (["create-user", "Robert'); drop"], "lower-case letters"),
        (["create-user", "pg_monitor"], "lower-case letters"),
        (["create-user", NAME], "There is a role"),
        (["create-user", "other", "--tenant", "nobody"], "There is no tenant nobody"),
        (["create-user", "other", "--existing"], "let an administrator run"),
        (["drop-user", "other"], "There is no analyst other"),
    ]:
        ended = run_cli("bi", *arguments)
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert words in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
