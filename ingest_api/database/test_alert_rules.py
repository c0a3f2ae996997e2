"""Rules as they are stored."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest

from ingest_api.alerts.rules import AlertRule
from ingest_api.alerts.silences import Mute, WeeklySilence
from ingest_api.database.alert_rules import (
    RuleError,
    add_rule,
    change_rule,
    channels_of,
    enabled_rules,
    find_rule,
    list_rules,
    remove_rules,
)
from ingest_api.database.keys import ensure_tenant

INSERT_PROJECT = """
insert into app.projects (tenant_id, name, rollup_tags) values (%s, %s, '{team}')
returning project_id
"""
INSERT_CHANNEL = """
insert into app.notification_channels (tenant_id, project_id, name, kind)
values (%s, %s, %s, 'webhook') returning channel_id
"""


class Ground:
    """A tenant with two projects."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.tenant_id = ensure_tenant(connection)
        self.project_id, self.other_id = (self.new(INSERT_PROJECT, name) for name in ("a", "b"))

    def new(self, statement: str, *values: object) -> UUID:
        row = self.connection.execute(statement, [self.tenant_id, *values]).fetchone()
        assert row is not None
        return UUID(str(row[0]))

    def add(self, name: str = "spend", **changes: Any) -> Any:
        return add_rule(self.connection, self.tenant_id, self.project_id, rule(name, **changes))


def rule(name: str = "spend", **changes: Any) -> AlertRule:
    return AlertRule(
        **{"name": name, "metric": "cost", "threshold": Decimal("0.0000001")} | changes
    )


@pytest.fixture
def ground(database_url: str) -> Iterator[Ground]:
    with psycopg.connect(database_url) as connection:
        yield Ground(connection)


def test_a_rule_is_read_as_it_was_written(ground: Ground) -> None:
    ground.new(INSERT_CHANNEL, ground.project_id, "ops")
    mute = msgspec.convert(
        {"starts_at": "2026-11-01T00:00:00+01:00", "ends_at": "2026-11-02T00:00:00Z"}, Mute
    )
    wanted = rule(
        model="gpt-4o", tag_key="team", tag_value="search", group_by="user_id", window_seconds=60,
        compare_to="week_before", minimum_call_count=5, for_seconds=120, severity="critical",
        cool_down_seconds=60, remind_every_seconds=3600, mutes=[mute],
        silences=[WeeklySilence(["fri"], "22:00", "06:00", "Europe/Berlin")],
        message="{rule}: {value}", runbook_url="https://example.com", channels=["ops"],
    )  # fmt: skip
    added = add_rule(ground.connection, ground.tenant_id, ground.project_id, wanted)
    assert added.rule == wanted
    assert (added.project, added.result, added.firing_count) == ("a", None, 0)
    assert find_rule(ground.connection, added.stored.rule_id) == added
    changed = change_rule(ground.connection, added.stored, rule(is_enabled=False))
    assert changed.rule == rule(is_enabled=False)
    assert enabled_rules(ground.connection) == []


def test_a_project_finds_its_own_rules_alone(ground: Ground) -> None:
    own = ground.add("mine").stored.rule_id
    everybody = add_rule(ground.connection, ground.tenant_id, None, rule("all"))
    assert [one.rule.name for one in list_rules(ground.connection)] == ["all", "mine"]
    assert [one.rule.name for one in list_rules(ground.connection, ground.project_id)] == ["mine"]
    assert find_rule(ground.connection, own, ground.other_id) is None
    assert (everybody.project, everybody.stored.owner_id) == ("(all projects)", ground.tenant_id)
    assert [remove_rules(ground.connection, [own]) for _ in range(2)] == [{own}, set()]


def test_a_channel_of_the_project_comes_before_one_of_all(ground: Ground) -> None:
    shared = ground.new(INSERT_CHANNEL, None, "ops")
    assert channels_of(ground.connection, ground.add("x", channels=["ops"]).stored.rule_id) == [
        shared
    ]
    own = ground.new(INSERT_CHANNEL, ground.project_id, "ops")
    ground.new(INSERT_CHANNEL, ground.other_id, "theirs")
    added = ground.add("y", channels=["ops", "ops"])
    assert channels_of(ground.connection, added.stored.rule_id) == [own]
    with pytest.raises(RuleError, match="there is no channel 'theirs'"):
        ground.add("z", channels=["ops", "theirs"])


def test_what_cannot_be_stored_is_said(ground: Ground) -> None:
    ground.add()
    with pytest.raises(RuleError, match="there is a rule 'spend' already"):
        ground.add()
    for changes in ({"tag_key": "x", "tag_value": "y"}, {"group_by": "tag:x"}):
        with pytest.raises(RuleError, match="tag x: the project does not declare it"):
            ground.add("tagged", **changes)
    ground.add("tagged", group_by="tag:team")
    assert len(list_rules(ground.connection)) == 2
