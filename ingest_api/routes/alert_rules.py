"""Alert rules of the key's project: what they say, would say now, and would have said."""

from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
import psycopg
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from ingest_api import errors
from ingest_api.alerts.backtest import MAX_DAYS, Backtest, BacktestError, backtest, unsaved
from ingest_api.alerts.importing import Imported, Outcome, Owner, import_rules
from ingest_api.alerts.reading import Reader
from ingest_api.alerts.rules import AlertRule
from ingest_api.alerts.trial import Trial, try_rule
from ingest_api.auth import ApiKey
from ingest_api.database.alert_rules import (
    RuleError,
    RuleRecord,
    enable_rules,
    list_rules,
    remove_rules,
)
from ingest_api.dependencies import AdminKeyDep, ReadKeyDep, ServicesDep
from ingest_api.openapi import problem_responses
from ingest_api.routes.alert_documents import (
    BACKTEST_BODY,
    ENABLE_BODY,
    IDS_BODY,
    IMPORT_BODY,
    RULE_BODY,
    Ids,
)
from ingest_api.routes.budgets import READ_PROBLEMS, WRITE_PROBLEMS
from ingest_api.work import read_struct, with_database

router = APIRouter(prefix="/api/v1/alert-rules", tags=["alerts"])

MAX_IMPORTED: Final = 500
NOT_BUILT: Final = "The marts are not built yet: the first build follows the first events."


class ResultAnswer(BaseModel):
    """What the newest window said."""

    evaluated_at: datetime
    judged_until: datetime
    verdict: str
    reason: str | None
    value: Decimal | None
    group_count: int


class RuleAnswer(BaseModel):
    """A stored rule, how it fares, and how many of its alerts fire."""

    rule_id: UUID
    rule: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    result: ResultAnswer | None
    firing_count: int


class RulesAnswer(BaseModel):
    """Rules of the project, by name."""

    rules: list[RuleAnswer]


class ImportedAnswer(BaseModel):
    """What became, or would become, of a rule; `changes` has what it was and what it is."""

    name: str
    outcome: Outcome
    changes: dict[str, list[Any]]
    rule_id: UUID | None


class ImportAnswer(BaseModel):
    """One line per rule."""

    is_dry_run: bool
    rules: list[ImportedAnswer]


class OutcomeAnswer(BaseModel):
    """What became of a rule."""

    rule_id: UUID
    outcome: Literal["enabled", "disabled", "deleted", "not_found"]


class OutcomesAnswer(BaseModel):
    """One line per id, in the order of the request."""

    results: list[OutcomeAnswer]


class GroupAnswer(BaseModel):
    """What a window says of one group, and what would be told of it."""

    group_value: str
    verdict: str
    reason: str | None
    value: Decimal | None
    figure: Decimal | None
    baseline: Decimal | None
    call_count: int
    message: str | None


class TestAnswer(BaseModel):
    """The newest window, judged without any effect. Groups that meet the condition come first."""

    window_start: datetime
    window_end: datetime
    is_silent: bool
    query: str
    group_count: int
    groups: list[GroupAnswer]


class PastAlertAnswer(BaseModel):
    """An alert that there would have been."""

    group_value: str
    fired_at: datetime
    resolved_at: datetime | None
    value: Decimal | None
    is_silent: bool


class BacktestAnswer(BaseModel):
    """The past, judged by windows that end `step_seconds` apart."""

    start: datetime
    end: datetime
    step_seconds: int
    alerts: list[PastAlertAnswer]


class ImportRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Rules to have, and what of those that are not among them."""

    rules: Annotated[list[AlertRule], msgspec.Meta(max_length=MAX_IMPORTED)]
    is_dry_run: bool = False
    removes_others: bool = False


class EnableRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Rules to enable, or to disable."""

    ids: Ids
    is_enabled: bool


class IdsRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Rules."""

    ids: Ids


class BacktestRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A rule, stored or not, and how far to look back."""

    rule: AlertRule
    days: Annotated[int, msgspec.Meta(ge=1, le=MAX_DAYS)] = MAX_DAYS


@router.get("", responses=problem_responses(*READ_PROBLEMS))
async def list_alert_rules(
    key: ReadKeyDep,
    services: ServicesDep,
    name: Annotated[
        str | None, Query(max_length=200, pattern="^[^\\x00]*$", description="Only this rule.")
    ] = None,
) -> RulesAnswer:
    """Rules of the key's project, what their newest window said, and how many alerts fire."""

    def read(connection: psycopg.Connection) -> list[RuleRecord]:
        return list_rules(connection, key.project_id)

    found = await with_database(services, read)
    return RulesAnswer(rules=[_answer(one) for one in found if name in (None, one.rule.name)])


@router.put(
    "",
    response_model=ImportedAnswer,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=RULE_BODY,
)
async def put_alert_rule(
    request: Request, key: AdminKeyDep, services: ServicesDep
) -> ImportedAnswer:
    """Create a rule, or change the one of its name. It is judged within a minute.

    The same again changes nothing. Where a change makes the rule watch something else, its alerts
    are over.
    """
    wanted = await read_struct(request, services, AlertRule)
    return (await _import(services, key, ImportRequest([wanted])))[0]


@router.post(
    "/import",
    response_model=ImportAnswer,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=IMPORT_BODY,
)
async def import_alert_rules(
    request: Request, key: AdminKeyDep, services: ServicesDep
) -> ImportAnswer:
    """Have many rules at once, all or none, told apart by name; a dry run only says what."""
    wanted = await read_struct(request, services, ImportRequest)
    rules = await _import(services, key, wanted)
    return ImportAnswer(is_dry_run=wanted.is_dry_run, rules=rules)


@router.post(
    "/enable",
    response_model=OutcomesAnswer,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=ENABLE_BODY,
)
async def enable_alert_rules(
    request: Request, key: AdminKeyDep, services: ServicesDep
) -> OutcomesAnswer:
    """Enable or disable rules. The alerts of one that is disabled are over within a minute."""
    wanted = await read_struct(request, services, EnableRequest)

    def work(connection: psycopg.Connection) -> set[UUID]:
        return enable_rules(connection, wanted.ids, key.project_id, is_enabled=wanted.is_enabled)

    found = await with_database(services, work)
    return _outcomes(wanted.ids, found, "enabled" if wanted.is_enabled else "disabled")


@router.post(
    "/delete",
    response_model=OutcomesAnswer,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=IDS_BODY,
)
async def delete_alert_rules(
    request: Request, key: AdminKeyDep, services: ServicesDep
) -> OutcomesAnswer:
    """Delete rules. Their alerts are over within a minute, and stay to be looked at."""
    wanted = await read_struct(request, services, IdsRequest)

    def work(connection: psycopg.Connection) -> set[UUID]:
        return remove_rules(connection, wanted.ids, key.project_id)

    return _outcomes(wanted.ids, await with_database(services, work), "deleted")


@router.post(
    "/test",
    response_model=TestAnswer,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=RULE_BODY,
)
async def test_alert_rule(request: Request, key: ReadKeyDep, services: ServicesDep) -> TestAnswer:
    """Judge the newest window of a rule, stored or not. Nothing is stored and nobody is told."""
    wanted = await read_struct(request, services, AlertRule)
    stored = unsaved(key.tenant_id, key.project_id, wanted)

    def work(connection: psycopg.Connection) -> Trial | None:
        with connection.transaction(force_rollback=True):
            reader = Reader(connection, timeout_seconds=services.settings.query_timeout_seconds)
            return try_rule(reader, stored, datetime.now(UTC))

    found = await with_database(services, work)
    if found is None:
        raise errors.UnavailableError(NOT_BUILT, 30)
    return _trial_answer(found)


@router.post(
    "/backtest",
    response_model=BacktestAnswer,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=BACKTEST_BODY,
)
async def backtest_alert_rule(
    request: Request, key: ReadKeyDep, services: ServicesDep
) -> BacktestAnswer:
    """When would a rule have fired? The past is judged by its figures as they are known now."""
    wanted = await read_struct(request, services, BacktestRequest)
    stored = unsaved(key.tenant_id, key.project_id, wanted.rule)

    def work(connection: psycopg.Connection) -> Backtest:
        with connection.transaction(force_rollback=True):
            reader = Reader(connection, timeout_seconds=services.settings.query_timeout_seconds)
            now = datetime.now(UTC).replace(second=0, microsecond=0)
            return backtest(reader, stored, now, wanted.days)

    try:
        found = await with_database(services, work)
    except BacktestError as error:
        raise errors.BadParameterError(f"{error}.") from None
    except psycopg.errors.UndefinedTable as error:
        raise errors.UnavailableError(NOT_BUILT, 30) from error
    return BacktestAnswer(
        start=found.start,
        end=found.end,
        step_seconds=int(found.step.total_seconds()),
        alerts=[PastAlertAnswer(**asdict(one)) for one in found.alerts],
    )


async def _import(
    services: ServicesDep, key: ApiKey, wanted: ImportRequest
) -> list[ImportedAnswer]:
    def work(connection: psycopg.Connection) -> list[Imported]:
        return import_rules(
            connection,
            Owner(key.tenant_id, key.project_id),
            wanted.rules,
            is_dry_run=wanted.is_dry_run,
            removes_others=wanted.removes_others,
        )

    try:
        found = await with_database(services, work)
    except RuleError as error:
        raise errors.BadParameterError(f"{error}.") from None
    return [
        ImportedAnswer(
            name=one.name,
            outcome=one.outcome,
            changes={name: list(pair) for name, pair in one.changes.items()},
            rule_id=None if one.record is None else one.record.stored.rule_id,
        )
        for one in found
    ]


def _answer(record: RuleRecord) -> RuleAnswer:
    return RuleAnswer(
        rule_id=record.stored.rule_id,
        rule=msgspec.to_builtins(record.rule),
        created_at=record.created_at,
        updated_at=record.updated_at,
        result=None if record.result is None else ResultAnswer(**asdict(record.result)),
        firing_count=record.firing_count,
    )


def _outcomes(ids: list[UUID], found: set[UUID], outcome: Any) -> OutcomesAnswer:
    return OutcomesAnswer(
        results=[
            OutcomeAnswer(rule_id=one, outcome=outcome if one in found else "not_found")
            for one in ids
        ]
    )


def _trial_answer(found: Trial) -> TestAnswer:
    groups = [
        GroupAnswer(
            group_value=one.group_value,
            reason=one.reason,
            message=one.message,
            **{
                name: getattr(one.judgement, name)
                for name in ("verdict", "value", "figure", "baseline", "call_count")
            },
        )
        for one in found.groups
    ]
    return TestAnswer(
        window_start=found.window_start,
        window_end=found.window_end,
        is_silent=found.is_silent,
        query=found.query,
        group_count=found.group_count,
        groups=groups,
    )
