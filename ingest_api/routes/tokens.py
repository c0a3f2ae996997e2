"""A token that sends events, for browsers; that of the live feed is in `live.py`."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from ingest_api import errors
from ingest_api.dependencies import IngestKeyDep, ServicesDep
from ingest_api.ingest import INGEST_PATH
from ingest_api.live.tokens import Tokens
from ingest_api.openapi import json_answer, problem_responses

router = APIRouter(tags=["events"])

EXAMPLE_TOKEN: Final = {
    "token": "llmi_AZObLnyaek6TVQwvHy9qEAAAAZOfLnyaek6TVQwvHy9qEA",
    "expires_at": "2026-11-23T10:15:01Z",
}
TOKEN_PROBLEMS: Final = (
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.BadParameterError,
    errors.UnavailableError,
)


class TokenAnswer(BaseModel):
    """A token that is good until it expires."""

    token: str
    expires_at: datetime

    @classmethod
    async def made(cls, tokens: Tokens, api_key_id: UUID) -> "TokenAnswer":
        """A new token of a key.

        Raises:
            UnavailableError: Redis does not answer.
        """
        expires_at = datetime.now(UTC) + timedelta(seconds=tokens.seconds)
        return cls(token=await tokens.make(api_key_id), expires_at=expires_at)


@router.post(
    f"{INGEST_PATH}/token",
    summary="A token that sends events, for browsers",
    responses={**json_answer(EXAMPLE_TOKEN), **problem_responses(*TOKEN_PROBLEMS)},
)
async def make_ingest_token(key: IngestKeyDep, services: ServicesDep) -> TokenAnswer:
    """The token sends events to the key's project, within the key's limits, does nothing else, and
    dies with the key. Ask for it on your server, where the key is, and hand it to the page, which
    sends it in the place of a key.
    """
    return await TokenAnswer.made(services.ingest_tokens, key.api_key_id)
