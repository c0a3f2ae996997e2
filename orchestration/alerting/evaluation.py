"""One evaluation of all rules: what windows say, what becomes of alerts, who is told.

All of it is one transaction: a state changes together with the notification of it, or not at all.
A process that is killed leaves everything as it was, and the next evaluation does the same again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import psycopg

from ingest_api.alerts.episodes import Episode, begin, end_of, note, see, take
from ingest_api.alerts.judging import UNREADABLE, Judgement, judge
from ingest_api.alerts.messages import Links, notification
from ingest_api.alerts.reading import Reader
from ingest_api.alerts.reads import NO_GROUP
from ingest_api.alerts.rules import AlertRule
from ingest_api.alerts.silences import is_silent
from ingest_api.alerts.states import Alert, MessageKind, is_flipped, remind, step
from ingest_api.alerts.windows import ends_to_judge, last_end
from ingest_api.alerts.words import compared, instant
from ingest_api.database.alert_rules import RuleRecord, channels_of, enabled_rules, project_name
from ingest_api.database.alerts import (
    Key,
    Result,
    drop_alert,
    lately_resolved,
    open_alerts,
    read_results,
    save_alerts,
    save_results,
    try_lock,
)
from ingest_api.database.notifications import enqueue

# More alerts of one rule at once are one problem, and nobody reads the hundredth message of it.
MAX_ALERTS_PER_RULE: Final = 100
MAX_MET_GROUPS: Final = 1000

Judged = dict[tuple[UUID, datetime], dict[str, Judgement]]


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        judged_until: End of the newest window; None: the marts are not built.
        results: Of the rules that were judged now.
        firing: All alerts that fire, afterwards.
        told_count: Notifications that were written.
        problems: By rule, why it could not be evaluated, or not wholly.
    """

    records: list[RuleRecord]
    judged_until: datetime | None
    results: dict[UUID, Result]
    firing: list[Episode]
    told_count: int
    problems: dict[UUID, str] = field(default_factory=dict)


def evaluate(
    connection: psycopg.Connection,
    now: datetime,
    links: Links,
    read_lag: Callable[[], float | None] = lambda: None,
) -> Evaluation | None:
    """Evaluate every rule whose minute has come; None where somebody else does so now.

    Args:
        connection: To the ledger's database.
        now: The clock.
        links: Where people reach the platform.
        read_lag: Age of the oldest event in the stream; asked only where a rule watches it.
    """
    with connection.transaction():
        if not try_lock(connection):
            return None
        return _Round(connection, now, links).run(read_lag)


class _Round:
    """The state of one evaluation, inside its transaction."""

    def __init__(self, connection: psycopg.Connection, now: datetime, links: Links) -> None:
        self.connection = connection
        self.now = now
        self.links = links
        self.records = {one.stored.rule_id: one for one in enabled_rules(connection)}
        self.open: dict[Key, Episode] = {}
        self.told_count = 0
        self.problems: dict[UUID, str] = {}
        self.queries: dict[tuple[UUID, datetime], str] = {}
        self.channels: dict[UUID, list[UUID]] = {}
        # Written rule by rule, in one go.
        self.unsaved: list[Episode] = []
        cool_down = max((one.rule.cool_down_seconds for one in self.records.values()), default=0)
        self.resolved = lately_resolved(connection, now - timedelta(seconds=cool_down))

    def run(self, read_lag: Callable[[], float | None]) -> Evaluation:
        for episode in open_alerts(self.connection):
            self.take_up(episode)
        is_asked = any(one.rule.kind.family == "lag" for one in self.records.values())
        self.reader = Reader(self.connection, read_lag() if is_asked else None)
        complete_until = self.reader.complete_until(self.now) if self.records else None
        newest = last_end(complete_until) if complete_until else None
        results = self.judge_due(newest) if newest else {}
        for rule_id, record in self.records.items():
            if rule_id not in results:
                self.remind(record)
        return Evaluation(
            list(self.records.values()),
            newest,
            results,
            [one for one in self.open.values() if one.state == "firing"],
            self.told_count,
            self.problems,
        )

    def take_up(self, episode: Episode) -> None:
        """Go on with an open alert, or end it where its rule is another now."""
        record = self.records.get(episode.rule_id) if episode.rule_id else None
        if record is not None and record.rule.subject == episode.rule.subject:
            self.open[Key(record.stored.rule_id, episode.group_value)] = episode
        elif episode.state == "pending":
            drop_alert(self.connection, episode)
        else:
            reason = "the rule watches something else now" if record else "the rule is gone or off"
            self.finish(end_of(episode, self.now, reason))

    def judge_due(self, newest: datetime) -> dict[UUID, Result]:
        """Judge the rules that have a window which was not judged yet."""
        before = read_results(self.connection)
        due = {}
        for rule_id, record in self.records.items():
            result = before.get(rule_id)
            # A rule is judged from its making on, however late the marts are built.
            made_at = record.updated_at.replace(second=0, microsecond=0)
            since = made_at if made_at < newest else None
            judged_until = result.judged_until if result else since
            if ends := ends_to_judge(record.rule.window, judged_until, newest):
                due[rule_id] = ends
        again = {one: [before[one].judged_until] for one in due if one in before}
        wanted = {one: [*again.get(one, []), *ends] for one, ends in due.items()}
        judged = self.reader.judge([self.records[one].stored for one in due], wanted)
        results = {}
        for rule_id, ends in due.items():
            if result := self.attempt(rule_id, ends, judged, before.get(rule_id)):
                results[rule_id] = result
        save_results(self.connection, results.values())
        return results

    def attempt(
        self, rule_id: UUID, ends: list[datetime], judged: Judged, before: Result | None
    ) -> Result | None:
        """Follow the alerts of one rule; what it cannot store takes no other rule with it."""
        record = self.records[rule_id]
        try:
            with self.connection.transaction():
                for group in self.groups_to_follow(rule_id, ends, judged):
                    self.follow(record, Key(rule_id, group), ends, judged)
                if before is not None:
                    self.reconsider(record, before, judged)
                save_alerts(self.connection, self.unsaved)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            self.problems[rule_id] = type(error).__name__
            return None
        finally:
            self.unsaved.clear()
        return summarise(record.rule, rule_id, ends[-1], self.now, judged[rule_id, ends[-1]])

    def groups_to_follow(self, rule_id: UUID, ends: list[datetime], judged: Judged) -> list[str]:
        """Groups with an open alert, and those that meet the condition, up to a number."""
        known = [key.group_value for key in self.open if key.rule_id == rule_id]
        met = {group for end in ends for group, one in judged[rule_id, end].items() if one.is_met}
        new = sorted(met.difference(known))
        room = max(MAX_ALERTS_PER_RULE - len(known), 0)
        if len(new) > room:
            self.problems[rule_id] = f"{len(new) - room} more groups meet it, and are not told"
        return [*known, *new[:room]]

    def follow(self, record: RuleRecord, key: Key, ends: list[datetime], judged: Judged) -> None:
        """Step through the windows of one group."""
        rule = record.rule
        silent = is_silent(rule.silences, rule.mutes, self.now)
        episode = self.open.get(key)
        for end in ends:
            alert = episode.alert if episode else Alert()
            alert = replace(alert, resolved_at=self.resolved.get(key))
            found = judgement_of(rule, judged[key.rule_id, end], key.group_value)
            after = step(rule, alert, found, end, self.now, is_silent=silent)
            if after.change == "dropped" and episode:
                drop_alert(self.connection, episode)
                episode = None
            if after.alert.state == "ok" and after.change != "resolved":
                continue
            episode = episode or begin(record.stored, key.group_value, found, end, self.now)
            seen = see(episode, rule, found, end, self.now)
            episode = take(seen, after, found, self.channels_of(key.rule_id))
            if after.change == "firing":
                episode = replace(episode, query=self.query_of(record, end))
            if after.change == "resolved":
                self.finish(self.noted(record, episode))
                self.resolved[key] = end
                episode = None
            elif after.message:
                self.tell(after.message, episode)
        self.keep(key, episode)

    def keep(self, key: Key, episode: Episode | None) -> None:
        """Store an alert that is open; without one, forget it."""
        if episode is None:
            self.open.pop(key, None)
            return
        self.unsaved.append(episode)
        self.open[key] = episode

    def finish(self, episode: Episode) -> None:
        """Store an alert that is over, and tell those who were told of it."""
        save_alerts(self.connection, [episode])
        if episode.told_at is not None:
            self.tell("alert_resolved", episode)

    def tell(self, kind: MessageKind, episode: Episode) -> None:
        project = project_name(self.connection, episode.project_id)
        message = notification(kind, episode, project, self.now, self.links)
        self.told_count += enqueue(self.connection, episode.channel_ids, message)

    def remind(self, record: RuleRecord) -> None:
        """What the clock alone asks for: reminders, and what a silence held back."""
        silent = is_silent(record.rule.silences, record.rule.mutes, self.now)
        for key, episode in list(self.open.items()):
            if key.rule_id != record.stored.rule_id or episode.state != "firing":
                continue
            after = remind(record.rule, episode.alert, self.now, is_silent=silent)
            if after.message:
                reminded = take(episode, after, UNREADABLE, self.channels_of(key.rule_id))
                self.tell(after.message, reminded)
                self.open[key] = reminded
                save_alerts(self.connection, [reminded])

    def channels_of(self, rule_id: UUID) -> list[UUID]:
        if rule_id not in self.channels:
            self.channels[rule_id] = channels_of(self.connection, rule_id)
        return self.channels[rule_id]

    def query_of(self, record: RuleRecord, end: datetime) -> str:
        at = (record.stored.rule_id, end)
        if at not in self.queries:
            self.queries[at] = self.reader.query_of(record.stored, end)
        return self.queries[at]

    def noted(self, record: RuleRecord, episode: Episode) -> Episode:
        """An alert that is over, with what its first window says by now."""
        if episode.fired_at is None:
            return episode
        rule_id = record.stored.rule_id
        judged = self.reader.judge([record.stored], {rule_id: [episode.fired_at]})
        again = judgement_of(record.rule, judged[rule_id, episode.fired_at], episode.group_value)
        if not is_flipped(True, again):
            return episode
        return note(episode, self.now, late_words(record.rule, episode.fired_at, again))

    def reconsider(self, record: RuleRecord, before: Result, judged: Judged) -> None:
        """Note where late data would have decided the window before otherwise."""
        rule, rule_id, end = record.rule, record.stored.rule_id, before.judged_until
        again = judged[rule_id, end]
        for group in sorted({*again, *before.met_groups}):
            found = judgement_of(rule, again, group)
            if not is_flipped(group in before.met_groups, found):
                continue
            key = Key(rule_id, group)
            text = late_words(rule, end, found)
            if episode := self.open.get(key):
                self.keep(key, note(episode, self.now, text))
            elif found.is_met and not rule.for_seconds:
                missed = begin(record.stored, group, found, end, self.now)
                missed = replace(missed, state="missed", query=self.query_of(record, end))
                save_alerts(self.connection, [note(missed, self.now, text)])


def judgement_of(rule: AlertRule, judged: Mapping[str, Judgement], group: str) -> Judgement:
    """Pure: the judgement of a group; of one without a call, that of nothing."""
    if group in judged:
        return judged[group]
    return UNREADABLE if judged.get(NO_GROUP) == UNREADABLE else judge(rule, None)


def late_words(rule: AlertRule, end: datetime, found: Judgement) -> str:
    """Pure: what late data says of a window that was judged already."""
    value = compared(rule, found.value)
    words = "meets the condition" if found.is_met else "does not meet the condition"
    return f"With late data the window to {instant(end)} has {value}, which {words}."


def summarise(
    rule: AlertRule,
    rule_id: UUID,
    end: datetime,
    now: datetime,
    judged: Mapping[str, Judgement],
) -> Result:
    """Pure: what a window said, of all groups together."""
    met = [group for group, one in judged.items() if one.is_met]
    values = [one.value for one in judged.values() if one.value is not None]
    values.sort(reverse=rule.direction == "above")
    verdicts = {one.verdict for one in judged.values()}
    verdict = next((one for one in ("met", "not_met") if one in verdicts), "no_data")
    reasons = [one.reason for one in judged.values() if one.reason]
    return Result(
        rule_id=rule_id,
        evaluated_at=now,
        judged_until=end,
        verdict=verdict,
        reason=(reasons or ["empty"])[0] if verdict == "no_data" else None,
        value=values[0] if values else None,
        group_count=len(judged),
        met_groups=met[:MAX_MET_GROUPS],
    )
