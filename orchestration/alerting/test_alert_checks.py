"""What the checks of alert rules say, and who is not told of them."""

from datetime import UTC, datetime

import dagster as dg

from ingest_api.alerts.messages import CHECKS, Links
from orchestration.alerting.alert_checks import USAGE_MINUTELY, Told, alert_rules
from orchestration.alerting.event_log import read_evaluations

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


def test_operators_hear_nothing_of_alerts_that_their_rules_tell() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for name in (CHECKS["critical"], "another_check"):
            instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(USAGE_MINUTELY, name, passed=False)
            )
        assert [one.check for one in read_evaluations(instance, 0)] == ["another_check"]


def test_there_is_a_check_for_each_severity_and_messages_link_to_it() -> None:
    names = {spec.name for spec in alert_rules.check_specs}
    assert names == {*CHECKS.values(), "alert_rules_are_evaluated"}
    assert Links("http://api", "http://dagster/").check("error") == (
        "http://dagster/assets/marts/fct_usage_minutely"
        "?view=checks&checkDetail=no_error_alert_fires"
    )


def test_the_memory_of_the_sensor_survives_a_restart() -> None:
    told = Told(NOW, "a hash", NOW)
    assert Told.parse(str(told)) == told
    assert Told.parse(None).reported == ""
