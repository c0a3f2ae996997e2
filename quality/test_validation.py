"""A suite that cannot be run says so, and samples stay small."""

from urllib.parse import urlsplit

import psycopg
import pytest

from quality.findings import SAMPLE_SIZE
from quality.suites import Rule, Suite
from quality.validation import SuiteError, validate

NUMBERS = """(
    select n as event_id, null::uuid as project_id from generate_series(1, 1000) as n
) as numbers"""


def test_a_statement_that_fails_is_an_error_and_no_breach(database_url: str) -> None:
    suite = Suite("numbers", NUMBERS, (Rule("quotients_exist", "", "1 / (event_id - 5) > 0"),))

    with pytest.raises(SuiteError, match=r"numbers could not be run: .*division by zero"):
        validate(suite, database_url)


def test_a_truth_that_is_no_boolean_is_an_error_and_no_breach(database_url: str) -> None:
    suite = Suite("numbers", NUMBERS, (Rule("numbers_are_words", "", "'word'::text"),))

    with pytest.raises(SuiteError, match=r"numbers could not be run: .*text"):
        validate(suite, database_url)


def test_a_table_that_does_not_exist_is_an_error(database_url: str) -> None:
    suite = Suite("nothing", "marts.nothing", (Rule("a_rule", "", "true"),))

    with pytest.raises(SuiteError, match=r"marts\.nothing"):
        validate(suite, database_url)


def test_a_database_that_is_away_is_an_error_without_its_password(database_url: str) -> None:
    url = urlsplit(database_url)
    away = url._replace(netloc=f"{url.username}:hidden-word@127.0.0.1:1").geturl()

    with pytest.raises(SuiteError) as caught:
        validate(Suite("numbers", NUMBERS, (Rule("a_rule", "", "true"),)), away)

    assert "hidden-word" not in str(caught.value)


def test_samples_are_bounded_and_counts_are_not(database_url: str) -> None:
    suite = Suite("numbers", NUMBERS, (Rule("numbers_are_small", "", "event_id <= 100"),))

    (outcome,) = validate(suite, database_url).outcomes

    assert (outcome.failed_count, outcome.failed_ratio) == (900, 0.9)
    assert len(outcome.sample_ids) == SAMPLE_SIZE


def test_a_password_with_a_dollar_sign_is_no_variable(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("drop role if exists dollar")
        connection.execute("create role dollar login password '$PGUSER'")
    url = urlsplit(database_url)
    dollar = url._replace(netloc=f"dollar:$PGUSER@{url.hostname}:{url.port}").geturl()

    (outcome,) = validate(Suite("numbers", NUMBERS, (Rule("a_rule", "", "true"),)), dollar).outcomes

    assert outcome.is_passed
