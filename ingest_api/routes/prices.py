"""Price overrides of the key's project and tenant: negotiated prices, and models of one's own."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
import psycopg
from fastapi import APIRouter, Request
from pydantic import BaseModel

from ingest_api import errors
from ingest_api.auth import ApiKey
from ingest_api.database.prices import Author, Book, Entry, StoredPrice, list_prices, revise
from ingest_api.dependencies import AdminKeyDep, ServicesDep
from ingest_api.openapi import problem_responses
from ingest_api.prices.book import Price, PriceError, check_name, check_price, ended, revised
from ingest_api.prices.kinds import SERVICE_TIERS, UNITS
from ingest_api.work import read_struct, with_database

router = APIRouter(prefix="/api/v1/prices/overrides", tags=["prices"])

MAX_PRICES: Final = 200
READ_PROBLEMS: Final = (
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.BadParameterError,
    errors.UnavailableError,
)
WRITE_PROBLEMS: Final = (
    errors.MalformedBodyError,
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.BodyTooLargeError,
    errors.UnsupportedEncodingError,
    errors.BadParameterError,
    errors.UnavailableError,
)

Scope = Literal["project", "tenant"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Reason = Annotated[str, msgspec.Meta(max_length=1000, pattern="^[^\\x00]*$")]


class OverrideAnswer(BaseModel):
    """One price row. `usd` is for one `unit`; a `model` that ends in * is every model so begun."""

    price_id: UUID
    scope: Scope
    provider_name: str
    model: str
    token_kind: str
    usd: Decimal
    unit: str
    service_tier: str
    tier_start_tokens: int
    valid_from: datetime
    valid_to: datetime | None
    created_at: datetime
    created_by: str | None
    reason: str | None
    is_current: bool


class OverridesAnswer(BaseModel):
    """The rows that calls of the project can take."""

    overrides: list[OverrideAnswer]


class RevisionAnswer(BaseModel):
    """`is_changed` is false where everything was so already; nothing was written then."""

    is_changed: bool


class PriceRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What one kind costs: USD for a million tokens, a thousand calls, or one hour."""

    token_kind: str
    usd: Decimal
    service_tier: str = "default"
    tier_start_tokens: int = 0


class OverrideRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Prices of one model from `valid_from` (default: now) to `valid_to` (default: for ever)."""

    provider_name: Name
    model: Name
    prices: Annotated[list[PriceRequest], msgspec.Meta(min_length=1, max_length=MAX_PRICES)]
    scope: Scope = "project"
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    reason: Reason | None = None


class EndRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The model whose override ends, and when (default: now)."""

    provider_name: Name
    model: Name
    scope: Scope = "project"
    ends_at: datetime | None = None
    reason: Reason | None = None


def _body(required: list[str], example: dict[str, Any], **properties: Any) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": required,
        "properties": {**ENTRY_SCHEMA, **properties},
        "additionalProperties": False,
    }
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


TIME: Final = {"type": ["string", "null"], "format": "date-time"}
TEXT: Final = {"type": "string", "minLength": 1, "maxLength": 256}
ENTRY_SCHEMA: Final[dict[str, Any]] = {
    "provider_name": {**TEXT, "description": "As in the events, such as `openai`."},
    "model": {**TEXT, "description": "Whole name, or its beginning and `*`; case is ignored."},
    "scope": {"enum": ["project", "tenant"], "default": "project"},
    "reason": {"type": ["string", "null"], "maxLength": 1000},
}
PRICE_SCHEMA: Final = {
    "type": "object",
    "required": ["token_kind", "usd"],
    "additionalProperties": False,
    "properties": {
        "token_kind": {"enum": list(UNITS)},
        "usd": {
            "type": ["string", "number"],
            "description": "For 1M tokens; for 1K requests or searches; for 1 hour of a call.",
        },
        "service_tier": {"enum": list(SERVICE_TIERS), "default": "default"},
        "tier_start_tokens": {
            "type": "integer",
            "minimum": 0,
            "maximum": 1_000_000_000,
            "default": 0,
            "description": "The price is for calls with more input tokens than this.",
        },
    },
}
CREATE_EXAMPLE: Final = {
    "provider_name": "openai",
    "model": "gpt-4o*",
    "prices": [{"token_kind": "input", "usd": "2"}, {"token_kind": "output", "usd": "8"}],
    "valid_from": "2026-11-01T00:00:00Z",
    "reason": "contract 2026-17",
}
END_EXAMPLE: Final = {"provider_name": "openai", "model": "gpt-4o*", "reason": "contract ended"}


@router.get("", responses=problem_responses(*READ_PROBLEMS))
async def list_overrides(
    key: AdminKeyDep, services: ServicesDep, with_history: bool = False
) -> OverridesAnswer:
    """Overrides of the key's project and of its tenant; `with_history` adds what was replaced."""
    read = partial(
        list_prices, tenant_id=key.tenant_id, project_id=key.project_id, with_history=with_history
    )
    rows = await with_database(services, read)
    return OverridesAnswer(overrides=[_answer(row) for row in rows])


@router.post(
    "",
    response_model=RevisionAnswer,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=_body(
        ["provider_name", "model", "prices"],
        CREATE_EXAMPLE,
        valid_from=TIME,
        valid_to=TIME,
        prices={
            "type": "array", "items": PRICE_SCHEMA, "minItems": 1, "maxItems": MAX_PRICES,
        },
    ),
)  # fmt: skip
async def create_override(
    request: Request, key: AdminKeyDep, services: ServicesDep
) -> RevisionAnswer:
    """Set prices of one model. They rule calls loaded from now on, and those without a cost.

    In its span of time a price takes the place of the one before it; no stored row is edited.
    Costs that are already computed change only where they are restated.
    """
    wanted = await read_struct(request, services, OverrideRequest)
    changes = _prices(wanted, datetime.now(UTC))
    return await _revise(services, key, wanted, partial(revised, changes=changes))


@router.post(
    "/end",
    response_model=RevisionAnswer,
    responses=problem_responses(*WRITE_PROBLEMS),
    openapi_extra=_body(["provider_name", "model"], END_EXAMPLE, ends_at=TIME),
)
async def end_override(request: Request, key: AdminKeyDep, services: ServicesDep) -> RevisionAnswer:
    """End the override of one model: calls that start later take the next book that has a price."""
    wanted = await read_struct(request, services, EndRequest)
    at = wanted.ends_at or datetime.now(UTC)
    return await _revise(services, key, wanted, partial(ended, at=at))


def _prices(wanted: OverrideRequest, now: datetime) -> list[Price]:
    """The prices of a request, each checked.

    Raises:
        BadParameterError: names the guilty field.
    """
    prices = []
    for index, one in enumerate(wanted.prices):
        price = Price(
            one.token_kind, one.usd, wanted.valid_from or now, wanted.valid_to, one.service_tier,
            one.tier_start_tokens,
        )  # fmt: skip
        try:
            check_price(price)
        except PriceError as error:
            is_shared = error.field in ("valid_from", "valid_to")
            where = error.field if is_shared else f"prices[{index}].{error.field}"
            raise errors.BadParameterError(f"{where}: {error.reason}") from None
        prices.append(price)
    return prices


async def _revise(
    services: ServicesDep, key: ApiKey, wanted: OverrideRequest | EndRequest, change: Any
) -> RevisionAnswer:
    book = Book(key.tenant_id, key.project_id if wanted.scope == "project" else None)
    entry = Entry(book, wanted.provider_name, wanted.model)
    author = Author(f"API key {key.api_key_id}", wanted.reason)

    def work(connection: psycopg.Connection) -> int:
        return revise(connection, {entry: change}, author)

    try:
        check_name("provider_name", entry.provider_name)
        check_name("model", entry.model)
        return RevisionAnswer(is_changed=bool(await with_database(services, work)))
    except PriceError as error:
        raise errors.BadParameterError(f"{error.field}: {error.reason}") from None


def _answer(row: StoredPrice) -> OverrideAnswer:
    names = [name for name in OverrideAnswer.model_fields if hasattr(row, name)]
    return OverrideAnswer(
        **{name: getattr(row, name) for name in names},
        scope="tenant" if row.project is None else "project",
        unit=UNITS[row.token_kind][1],
    )
