"""Budgets of the key's project: a look at them, a new one, and an end."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
import psycopg
from fastapi import APIRouter, Request
from pydantic import BaseModel, PlainSerializer

from ingest_api import errors
from ingest_api.auth import ApiKey
from ingest_api.database.budgets import (
    Budget,
    BudgetScope,
    EndOutcome,
    NewBudget,
    State,
    UndeclaredTagError,
    add_budget,
    end_budgets,
    first_of_month,
    list_budgets,
    next_month,
    read_month,
)
from ingest_api.dependencies import AdminKeyDep, ReadKeyDep, ServicesDep
from ingest_api.openapi import problem_responses
from ingest_api.work import read_struct, with_database

router = APIRouter(prefix="/api/v1/budgets", tags=["budgets"])

MAX_IDS: Final = 1000
MAX_TEXT: Final = 200
MAX_MONTH_USD: Final = Decimal(10) ** 12
DECIMALS: Final = 6
READ_PROBLEMS: Final = (
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.BadParameterError,
    errors.UnavailableError,
)
WRITE_PROBLEMS: Final = (
    errors.MalformedBodyError,
    *READ_PROBLEMS,
    errors.BodyTooLargeError,
    errors.UnsupportedEncodingError,
)


def _month(day: date) -> str:
    return f"{day:%Y-%m}"


Month = Annotated[date, PlainSerializer(_month, return_type=str)]


class BudgetAnswer(BaseModel):
    """A budget. `from_month` is its first month, `end_month` the first one without it.

    A scope that is null takes all calls of the project.
    """

    budget_id: UUID
    name: str
    month_usd: Decimal
    from_month: Month
    end_month: Month | None
    state: State
    provider_name: str | None
    model: str | None
    service_name: str | None
    user_id: str | None
    tag_key: str | None
    tag_value: str | None
    created_at: datetime


class BudgetsAnswer(BaseModel):
    """All budgets of the project, ended ones too, by name."""

    budgets: list[BudgetAnswer]


class EndAnswer(BaseModel):
    """What became of one budget."""

    budget_id: UUID
    outcome: EndOutcome


class EndsAnswer(BaseModel):
    """One line per id, in the order of the request."""

    results: list[EndAnswer]


Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT, pattern=r"^[^\x00]*$")]


class CreateRequest(msgspec.Struct, forbid_unknown_fields=True):
    """A budget to make."""

    name: Text
    month_usd: Decimal
    from_month: str | None = None
    end_month: str | None = None
    provider_name: Text | None = None
    model: Text | None = None
    service_name: Text | None = None
    user_id: Text | None = None
    tag_key: Text | None = None
    tag_value: Text | None = None

    def __post_init__(self) -> None:
        """Refuse what the table would refuse."""
        if not (self.month_usd.is_finite() and 0 < self.month_usd <= MAX_MONTH_USD):
            raise ValueError(f"month_usd: must be above 0 and at most {MAX_MONTH_USD:,}")
        if self.month_usd != round(self.month_usd, DECIMALS):
            raise ValueError(f"month_usd: may have {DECIMALS} decimal places")
        if (self.tag_key is None) != (self.tag_value is None):
            raise ValueError("tag_key and tag_value: give both or neither")
        start, end = self.start_day, self.end_day
        if end is not None and end < start:
            raise ValueError("end_month: lies before from_month")

    @property
    def start_day(self) -> date:
        """Its first month: this one where none is given."""
        return _this_month() if self.from_month is None else read_month(self.from_month)

    @property
    def end_day(self) -> date | None:
        """The first month without it; None where there is none."""
        return None if self.end_month is None else read_month(self.end_month)

    def budget(self, key: ApiKey) -> NewBudget:
        """The budget for the project of `key`."""
        return NewBudget(
            key.tenant_id,
            key.project_id,
            self.name,
            self.month_usd,
            self.start_day,
            self.end_day,
            BudgetScope(**{name: getattr(self, name) for name in BudgetScope._fields}),
        )


class EndRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Ids of the budgets to end, and the first month without them."""

    ids: Annotated[list[UUID], msgspec.Meta(min_length=1, max_length=MAX_IDS)]
    end_month: str | None = None

    @property
    def month(self) -> date:
        """The first month without them: the next one where none is given."""
        return next_month(_this_month()) if self.end_month is None else read_month(self.end_month)

    def __post_init__(self) -> None:
        """Refuse a month that is none."""
        _ = self.month


TEXT_SCHEMA: Final = {
    "type": ["string", "null"],
    "minLength": 1,
    "maxLength": MAX_TEXT,
    "pattern": "^[^\\x00]*$",
}
MONTH_SCHEMA: Final = {
    "type": ["string", "null"],
    "pattern": "^2[0-9]{3}-(0[1-9]|1[0-2])$",
    "description": "A month, as 2026-11.",
}
CREATE_SCHEMA: Final = {
    "type": "object",
    "required": ["name", "month_usd"],
    "properties": {
        "name": {**TEXT_SCHEMA, "type": "string"},
        "month_usd": {
            "type": ["number", "string"],
            "exclusiveMinimum": 0,
            "pattern": "^[0-9]{1,12}([.][0-9]{1,6})?$",
            "maximum": int(MAX_MONTH_USD),
            "description": f"USD per calendar month, UTC; at most {DECIMALS} decimal places.",
        },
        "from_month": {**MONTH_SCHEMA, "description": "First month. Default: this one."},
        "end_month": {**MONTH_SCHEMA, "description": "First month without it. Default: none."},
        **dict.fromkeys(BudgetScope._fields, TEXT_SCHEMA),
    },
    "additionalProperties": False,
}
END_SCHEMA: Final = {
    "type": "object",
    "required": ["ids"],
    "properties": {
        "ids": {
            "type": "array",
            "items": {"type": "string", "format": "uuid"},
            "minItems": 1,
            "maxItems": MAX_IDS,
        },
        "end_month": {**MONTH_SCHEMA, "description": "First month without. Default: the next."},
    },
    "additionalProperties": False,
}
CREATE_EXAMPLE: Final = {"name": "support chat", "month_usd": 250, "service_name": "support-chat"}
END_EXAMPLE: Final = {"ids": ["01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a10"], "end_month": "2026-12"}


def _body(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


@router.get("", responses=problem_responses(*READ_PROBLEMS))
async def list_project_budgets(key: ReadKeyDep, services: ServicesDep) -> BudgetsAnswer:
    """Budgets of the key's project. How much of them is used: `marts.fct_budget_use_daily`."""

    def read(connection: psycopg.Connection) -> list[Budget]:
        return list_budgets(connection, key.project_id)

    budgets = await with_database(services, read)
    return BudgetsAnswer(budgets=[_answer(budget) for budget in budgets])


@router.post(
    "",
    status_code=201,
    response_model=BudgetAnswer,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=_body(CREATE_SCHEMA, CREATE_EXAMPLE),
)
async def create_budget(request: Request, key: AdminKeyDep, services: ServicesDep) -> BudgetAnswer:
    """Give the key's project, or a part of its calls, a budget.

    A budget is never edited: end it and make another. A tag must be one that the project declares
    for its roll-ups.
    """
    wanted = await read_struct(request, services, CreateRequest)

    def work(connection: psycopg.Connection) -> Budget:
        return add_budget(connection, wanted.budget(key))

    try:
        return _answer(await with_database(services, work))
    except UndeclaredTagError as error:
        raise errors.BadParameterError(f"{error}.") from None


@router.post(
    "/end",
    response_model=EndsAnswer,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=_body(END_SCHEMA, END_EXAMPLE),
)
async def end_project_budgets(
    request: Request, key: AdminKeyDep, services: ServicesDep
) -> EndsAnswer:
    """End budgets of the key's project before a month. Repeating the request is harmless."""
    wanted = await read_struct(request, services, EndRequest)

    def work(connection: psycopg.Connection) -> list[tuple[UUID, EndOutcome]]:
        return end_budgets(connection, wanted.ids, wanted.month, key.project_id)

    found = await with_database(services, work)
    return EndsAnswer(results=[EndAnswer(budget_id=one, outcome=how) for one, how in found])


def _answer(budget: Budget) -> BudgetAnswer:
    return BudgetAnswer(
        budget_id=budget.budget_id,
        name=budget.name,
        month_usd=budget.month_usd,
        from_month=budget.valid_from,
        end_month=budget.valid_to,
        state=budget.state,
        created_at=budget.created_at,
        **{name: getattr(budget, name) for name in BudgetScope._fields},
    )


def _this_month() -> date:
    return first_of_month(datetime.now(UTC).date())
