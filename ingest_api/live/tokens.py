"""Tokens that live for a short time, for browsers, where a key would be everybody's.

A token names its key and when it expires, and is signed for one purpose: to open the feed, or to
send events. The secret is made by whichever API process needs it first and lies in Redis, so that
all processes agree.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any, Final, NamedTuple
from uuid import UUID

from ingest_api.errors import UnauthorizedError, UnavailableError
from ingest_api.stream import REDIS_ERRORS, AsyncClient

SECRET_KEY: Final = "llmscope:live_token_secret"  # noqa: S105 - where it lies
SECRET_BYTES: Final = 32
# A token that does not fit may be signed with a newer secret; look again, but not for each guess.
RETRY_SECONDS: Final = 1.0
_CONTENT: Final = struct.Struct(">16sQ")
_SIGNATURE_BYTES: Final = 32


class Purpose(NamedTuple):
    """What a token is for.

    Attributes:
        prefix: How its tokens begin.
        name: Signed with each token, so that it is good for nothing else.
    """

    prefix: str
    name: str


LIVE_FEED: Final = Purpose("llmt_", "live feed")
INGESTION: Final = Purpose("llmi_", "ingestion")


@dataclass
class Tokens:
    """Makes and reads tokens that live for `seconds`."""

    client: AsyncClient
    seconds: float
    purpose: Purpose = LIVE_FEED
    clock: Callable[[], float] = time
    _secret: bytes | None = field(default=None, repr=False)
    _read_at: float = field(default=float("-inf"))

    async def make(self, api_key_id: UUID) -> str:
        """A token of a key.

        Raises:
            UnavailableError: Redis does not answer.
        """
        # Read anew, so that it fits whatever secret the other processes find.
        secret = await self._read_secret()
        content = _CONTENT.pack(api_key_id.bytes, int((self.clock() + self.seconds) * 1000))
        signed = content + self._sign(secret, content)
        return self.purpose.prefix + base64.urlsafe_b64encode(signed).decode().rstrip("=")

    async def read(self, token: str) -> UUID:
        """The key behind a token.

        Raises:
            UnauthorizedError: it is none of ours, or has expired.
            UnavailableError: Redis does not answer, and the secret is not known yet.
        """
        content, signature = self._split(token)
        if not await self._fits(content, signature):
            raise UnauthorizedError("The token is none of this server's: get a new one.")
        key_bytes, expires_at = _CONTENT.unpack(content)
        if expires_at <= self.clock() * 1000:
            raise UnauthorizedError("The token has expired: get a new one.")
        return UUID(bytes=key_bytes)

    async def _fits(self, content: bytes, signature: bytes) -> bool:
        if self._secret is not None:
            if hmac.compare_digest(self._sign(self._secret, content), signature):
                return True
            if monotonic() - self._read_at < RETRY_SECONDS:
                return False
        return hmac.compare_digest(self._sign(await self._read_secret(), content), signature)

    async def _read_secret(self) -> bytes:
        fresh = secrets.token_bytes(SECRET_BYTES)
        try:
            await self.client.set(SECRET_KEY, fresh, nx=True)
            found: Any = await self.client.get(SECRET_KEY)
        except REDIS_ERRORS as error:
            raise UnavailableError(f"The event buffer: {type(error).__name__}") from error
        if not isinstance(found, bytes) or len(found) != SECRET_BYTES:
            raise UnavailableError("The event buffer holds no secret for tokens.")
        self._secret, self._read_at = found, monotonic()
        return found

    def _sign(self, secret: bytes, content: bytes) -> bytes:
        label = f"llmscope {self.purpose.name}\0".encode()
        return hmac.digest(secret, label + content, hashlib.sha256)

    def _split(self, token: str) -> tuple[bytes, bytes]:
        """Content and signature.

        Raises:
            UnauthorizedError: the text has not the form of a token.
        """
        text = token.removeprefix(self.purpose.prefix)
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            raw = b""
        if text == token or len(raw) != _CONTENT.size + _SIGNATURE_BYTES:
            raise UnauthorizedError(
                f"This is no token of the {self.purpose.name}: get one, or send a key."
            )
        return raw[: _CONTENT.size], raw[_CONTENT.size :]
