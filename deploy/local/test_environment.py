"""What is configured, and what the processes see of it."""

from pathlib import Path

import pytest

from deploy.local.environment import (
    Platform,
    merged_settings,
    platform_from,
    process_environment,
    read_dotenv,
    with_driver,
    without_driver,
)
from deploy.local.errors import SetupError


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("A=1\n", {"A": "1"}),
        ("# a comment\n\nexport A = two words \n", {"A": "two words"}),
        ("A='x # y'\nB=\"z\"\n", {"A": "x # y", "B": "z"}),
        ("URL=postgresql://u:p=@h/d?x=1\n", {"URL": "postgresql://u:p=@h/d?x=1"}),
        ("A=\n", {"A": ""}),
    ],
)
def test_a_dotenv_file_holds_key_value_lines(text: str, settings: dict[str, str]) -> None:
    assert read_dotenv(text) == settings


def test_a_broken_dotenv_line_is_named_by_its_number() -> None:
    with pytest.raises(SetupError, match=r"Line 2 of \.env"):
        read_dotenv("A=1\nnonsense\n")


def test_the_real_environment_wins_over_dotenv_and_foreign_names_are_left_out() -> None:
    dotenv = {"LLMSCOPE_PORT_BASE": "9000", "REDIS_URL": "redis://a", "PATH": "/evil"}
    merged = merged_settings(dotenv, {"LLMSCOPE_PORT_BASE": "8500", "PATH": "/bin"})
    assert merged == {"LLMSCOPE_PORT_BASE": "8500", "REDIS_URL": "redis://a", "PATH": "/bin"}


@pytest.mark.parametrize("base", ["0", "80", "70000", "65535", "x", "-1"])
def test_an_unusable_port_base_stops_with_the_name_of_the_variable(base: str) -> None:
    with pytest.raises(SetupError, match="LLMSCOPE_PORT_BASE"):
        platform_from({"LLMSCOPE_PORT_BASE": base})


@pytest.mark.parametrize(
    ("variable", "value"),
    [("DATABASE_URL", "mysql://h/d"), ("REDIS_URL", "http://h"), ("DATABASE_URL", "host=h")],
)
def test_a_url_of_the_wrong_kind_stops_with_the_name_of_the_variable(
    variable: str, value: str
) -> None:
    with pytest.raises(SetupError, match=variable):
        platform_from({variable: value})


@pytest.mark.parametrize(
    ("settings", "native"),
    [
        ({}, ("postgres", "redis")),
        ({"DATABASE_URL": "postgresql://h/d"}, ("redis",)),
        ({"REDIS_URL": "rediss://h/0"}, ("postgres",)),
        ({"DATABASE_URL": "postgresql://h/d", "REDIS_URL": "redis://h"}, ()),
    ],
)
def test_services_of_the_user_are_not_started(
    settings: dict[str, str], native: tuple[str, ...]
) -> None:
    assert platform_from(settings).native_processes == native


def test_every_port_follows_from_the_port_base() -> None:
    platform = Platform(home=Path("/state"), port_base=9000)
    seen = process_environment(platform, "secret", {})
    assert seen["DATABASE_URL"] == "postgresql://llmscope:secret@127.0.0.1:9002/llmscope"
    assert seen["REDIS_URL"] == "redis://default:secret@127.0.0.1:9003/0"
    assert seen["LLMSCOPE_API_PORT"] == "9000"
    assert seen["LLMSCOPE_DAGSTER_PORT"] == "9001"
    assert seen["LLMSCOPE_CODE_SERVER_PORT"] == "9004"


def test_dagster_gets_a_database_of_its_own_beside_the_users() -> None:
    platform = platform_from({"DATABASE_URL": "postgresql://u:p@h:1/d?sslmode=require"})
    seen = process_environment(platform, "", {})
    expected = "postgresql+psycopg2://u:p@h:1/dagster?sslmode=require"
    assert seen["DAGSTER_DATABASE_URL"] == expected


def test_a_database_for_dagster_can_be_named() -> None:
    settings = {"DATABASE_URL": "postgresql://h/d", "DAGSTER_DATABASE_URL": "postgresql://h/e"}
    seen = process_environment(platform_from(settings), "", {})
    assert without_driver(seen["DAGSTER_DATABASE_URL"]) == "postgresql://h/e"


def test_a_driver_is_put_on_once() -> None:
    assert with_driver(with_driver("postgresql://h/d")) == "postgresql+psycopg2://h/d"


def test_the_computed_variables_win_over_inherited_ones() -> None:
    platform = Platform(home=Path("/state"))
    seen = process_environment(platform, "", {"DAGSTER_HOME": "/other", "LANG": "C"})
    assert seen["DAGSTER_HOME"] == "/state/dagster"
    assert seen["LANG"] == "C"
