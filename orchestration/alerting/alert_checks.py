"""Alert rules as asset checks: one for each severity, which fails while such an alert fires.

Dagster knows the checks of a code location when it loads, and rules come and go. So a check stands
for all rules of a severity, and its page lists those that fire: rule, value, threshold, since when.

They run as the last step of a build of the marts, and from a sensor when a minute is over: what
lies below a threshold, what has lasted long enough and what is over need the clock, not a build.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

import dagster as dg
import psycopg

from ingest_api.alerts.episodes import Episode
from ingest_api.alerts.messages import CHECKED_ASSET, CHECKS, Links
from ingest_api.alerts.rules import SEVERITIES, Severity
from ingest_api.alerts.windows import last_end
from ingest_api.alerts.words import compared, instant
from ingest_api.database.alert_rules import RuleRecord, enabled_rules
from ingest_api.database.alerts import open_alerts
from ingest_api.stream import StreamError
from orchestration.alerting.evaluation import Evaluation, evaluate
from orchestration.checking.results import AssetOutcome, check_specs, store_results
from orchestration.resources import EventStream, Warehouse
from quality.suites import Outcome, Rule
from quality.suites import Severity as CheckSeverity

USAGE_MINUTELY: Final = dg.AssetKey(CHECKED_ASSET.split("/"))
REPEAT_AFTER: Final = timedelta(hours=1)
# A build of a minute's calls takes 20 s, and one that failed is tried again within ten minutes.
MAX_UNJUDGED: Final = timedelta(minutes=10)
NAMED_ALERTS: Final = 5
CHECK_SEVERITIES: Final[Mapping[Severity, CheckSeverity]] = {
    "info": CheckSeverity.WARN,
    "warning": CheckSeverity.WARN,
    "error": CheckSeverity.ERROR,
    "critical": CheckSeverity.ERROR,
}
QUIET: Final[Mapping[Severity, Rule]] = {
    severity: Rule(
        CHECKS[severity],
        f"No alert of a rule with severity {severity} fires. The rules, and who has acknowledged "
        "what: `llmscope alerts list`. Their channels are told, not those of the operators.",
        "state <> 'firing'",
        CHECK_SEVERITIES[severity],
    )
    for severity in SEVERITIES
}
EVALUATED: Final = Rule(
    "alert_rules_are_evaluated",
    "Every enabled rule was judged by windows that ended within the last 10 minutes, and its "
    "figures could be read. If not, look at the last build of the marts and at the ticks of "
    "alert_rules_sensor. The sample lists the rule_id.",
    "judged_until > now() - interval '10 minutes' and reason is distinct from 'unreadable'",
)


@dg.multi_asset_check(
    name="alert_rules", specs=check_specs(USAGE_MINUTELY, [*QUIET.values(), EVALUATED])
)
def alert_rules(
    context: dg.AssetCheckExecutionContext,
    warehouse: dg.ResourceParam[Warehouse],
    event_stream: dg.ResourceParam[EventStream],
    alert_links: dg.ResourceParam[Links],
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate every rule on the marts that were just built."""
    now = datetime.now(UTC)
    with warehouse.connect() as connection:
        found = outcomes(look(connection, now, event_stream, alert_links), now)
        store_results(connection, found, context.run.run_id)
    yield from (one.check_result() for one in found)


@dataclass(frozen=True)
class Told:
    """The sensor's memory.

    Attributes:
        judged_until: End of the newest window that was judged.
        reported: What the newest report said, as a hash.
    """

    judged_until: datetime
    reported: str
    reported_at: datetime

    @classmethod
    def parse(cls, cursor: str | None) -> "Told":
        """From a cursor; without one, nothing was ever judged or reported."""
        never = datetime.min.replace(tzinfo=UTC)
        if not cursor:
            return cls(never, "", never)
        content = json.loads(cursor)
        return cls(
            datetime.fromisoformat(content["judged_until"]),
            content["reported"],
            datetime.fromisoformat(content["reported_at"]),
        )

    def __str__(self) -> str:
        return json.dumps(
            {
                "judged_until": self.judged_until.isoformat(),
                "reported": self.reported,
                "reported_at": self.reported_at.isoformat(),
            }
        )


@dg.sensor(
    name="alert_rules_sensor",
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Evaluates the alert rules when a minute is over, and reports what changes.",
)
def alert_rules_sensor(
    context: dg.SensorEvaluationContext,
    warehouse: dg.ResourceParam[Warehouse],
    event_stream: dg.ResourceParam[EventStream],
    alert_links: dg.ResourceParam[Links],
) -> dg.SensorResult | dg.SkipReason:
    """One tick: judge a minute that is over, and report what is news."""
    told, now = Told.parse(context.cursor), datetime.now(UTC)
    if last_end(now) <= told.judged_until:
        return dg.SkipReason("The minute is not over.")
    try:
        return judge_minute(told, now, warehouse, event_stream, alert_links)
    except psycopg.OperationalError as error:
        return dg.SkipReason(f"The database is away ({type(error).__name__}).")


def judge_minute(
    told: Told, now: datetime, warehouse: Warehouse, event_stream: EventStream, alert_links: Links
) -> dg.SensorResult | dg.SkipReason:
    """Evaluate the rules, and report what differs from the last report."""
    with warehouse.borrow() as connection:
        evaluation = evaluate(connection, now, alert_links, lambda: lag_seconds(event_stream))
        if evaluation is None:
            return dg.SkipReason("A build evaluates the rules just now.")
        found = outcomes(evaluation, now)
        judged = replace(told, judged_until=evaluation.judged_until or told.judged_until)
        if not evaluation.records:
            judged = replace(told, judged_until=last_end(now))
        said = summary(found)
        if said == told.reported and now - told.reported_at < REPEAT_AFTER:
            reason = f"{len(evaluation.results)} rules were judged; nothing has changed."
            return dg.SensorResult(skip_reason=reason, cursor=str(judged))
        store_results(connection, found)
    return dg.SensorResult(
        asset_events=[one.evaluation() for one in found],
        cursor=str(replace(judged, reported=said, reported_at=now)),
    )


def look(
    connection: psycopg.Connection, now: datetime, event_stream: EventStream, links: Links
) -> Evaluation:
    """An evaluation, or what another one that is under way has left so far."""
    found = evaluate(connection, now, links, lambda: lag_seconds(event_stream))
    if found is not None:
        return found
    firing = [one for one in open_alerts(connection) if one.state == "firing"]
    return Evaluation(enabled_rules(connection), now, {}, firing, 0)


def lag_seconds(event_stream: EventStream) -> float | None:
    """Age of the oldest event that waits to be loaded; None while Redis is away."""
    with suppress(StreamError):
        return event_stream.stats().oldest_unloaded_seconds
    return None


def outcomes(evaluation: Evaluation, now: datetime) -> list[AssetOutcome]:
    """Pure: an evaluation as outcomes of the checks."""
    by_severity = [quiet_outcome(severity, evaluation) for severity in SEVERITIES]
    return [*by_severity, evaluated_outcome(evaluation, now)]


def quiet_outcome(severity: Severity, evaluation: Evaluation) -> AssetOutcome:
    """Pure: whether no alert of a severity fires."""
    rule_count = sum(one.rule.severity == severity for one in evaluation.records)
    firing = [one for one in evaluation.firing if one.severity == severity]
    rule = QUIET[severity]
    if firing:
        shown = "; ".join(words_of(one) for one in firing[:NAMED_ALERTS])
        more = f"; and {len(firing) - NAMED_ALERTS} more" if len(firing) > NAMED_ALERTS else ""
        rule = replace(rule, description=f"Fires: {shown}{more}.")
    outcome = Outcome(
        rule,
        is_passed=not firing,
        failed_count=len(firing),
        failed_ratio=min(len({one.rule_id for one in firing}) / max(rule_count, 1), 1.0),
        sample_ids=tuple(str(one.alert_event_id) for one in firing[:20]),
        checked_count=rule_count,
    )
    return AssetOutcome(USAGE_MINUTELY, outcome, {"alerts": table_of(firing), "rules": rule_count})


def evaluated_outcome(evaluation: Evaluation, now: datetime) -> AssetOutcome:
    """Pure: whether all rules could be judged."""
    failed = {
        one.stored.rule_id: reason
        for one in evaluation.records
        if (reason := unjudged_because(one, evaluation, now))
    }
    names = {one.stored.rule_id: one.rule.name for one in evaluation.records}
    outcome = Outcome(
        EVALUATED,
        is_passed=not failed,
        failed_count=len(failed),
        failed_ratio=len(failed) / max(len(names), 1),
        sample_ids=tuple(map(str, list(failed)[:20])),
        checked_count=len(names),
    )
    reasons = {names[rule_id]: reason for rule_id, reason in list(failed.items())[:20]}
    return AssetOutcome(USAGE_MINUTELY, outcome, {"reasons": reasons})


def unjudged_because(record: RuleRecord, evaluation: Evaluation, now: datetime) -> str | None:
    """Pure: why a rule was not judged; None where it was, or is too new to be."""
    if problem := evaluation.problems.get(record.stored.rule_id):
        return problem
    result = evaluation.results.get(record.stored.rule_id) or record.result
    if result is not None and result.reason == "unreadable":
        return "its figures could not be read"
    if now - (result.judged_until if result else record.created_at) > MAX_UNJUDGED:
        return "the marts are not built up to the windows that it needs"
    return None


def table_of(firing: list[Episode]) -> dg.TableMetadataValue:
    """Pure: the alerts as a check's page shows them."""
    columns = ("rule", "group", "value", "threshold", "since", "acknowledged_by")
    schema = dg.TableSchema([dg.TableColumn(name) for name in columns])
    records = [
        dg.TableRecord(
            {
                "rule": one.rule_name,
                "group": one.group_value,
                "value": compared(one.rule, one.value),
                "threshold": f"{one.rule.direction} {compared(one.rule, one.rule.threshold)}",
                "since": instant(one.fired_at or one.pending_since),
                "acknowledged_by": one.acknowledged_by or "",
            }
        )
        for one in firing
    ]
    return dg.TableMetadataValue(records, schema)


def words_of(episode: Episode) -> str:
    """Pure: an alert in a few words."""
    group = f" ({episode.group_value})" if episode.group_value else ""
    rule = episode.rule
    limit = f"{rule.direction} {compared(rule, rule.threshold)}"
    return f"{episode.rule_name}{group} {compared(rule, episode.value)}, {limit}"


def summary(found: list[AssetOutcome]) -> str:
    """Pure: what a report says, but for figures that change all the time."""
    said = [(one.outcome.is_passed, one.outcome.sample_ids) for one in found]
    return sha256(repr(said).encode()).hexdigest()
