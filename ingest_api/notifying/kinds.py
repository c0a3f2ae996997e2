"""Pure: what each kind of channel is set up with, and what of it is secret."""

import re
import secrets as randomness
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

ChannelKind = Literal["slack", "email", "webhook", "pagerduty", "teams"]

MAX_TEXT: Final = 500
MAX_URL: Final = 2000
MAX_RECIPIENTS: Final = 50
PAGERDUTY_URL: Final = "https://events.pagerduty.com/v2/enqueue"
SIGNING_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the prefix that Standard Webhooks gives it
SIGNING_SECRET_BYTES: Final = 32
# Visible ASCII alone: what goes into a header of a mail or a request cannot break out of it.
VISIBLE: Final = r"^[!-~]+$"
ADDRESS: Final = r"^[!#-'*+\-/-9=?A-Z^-~.]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$"
HOST: Final = r"^[A-Za-z0-9.:_-]+$"
DISPLAY_NAME: Final = re.compile(r"^[^\x00-\x1f\x7f<>\"]*$")

Url = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_URL, pattern=VISIBLE)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT, pattern=VISIBLE)]
Host = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=HOST)]
Email = Annotated[str, msgspec.Meta(max_length=254, pattern=ADDRESS)]
Recipients = Annotated[list[Email], msgspec.Meta(min_length=1, max_length=MAX_RECIPIENTS)]


class ChannelError(ValueError):
    """Settings or secrets that a kind of channel does not take; the message names the field."""


class Target(NamedTuple):
    """Where a channel connects to."""

    host: str
    port: int
    is_encrypted: bool


class Struct(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Fields of one kind and no others."""


class NoSettings(Struct):
    """Nothing that may be shown."""


class EmailSettings(Struct):
    """A mail server and who is written to.

    Attributes:
        security: `starttls` (a plain connection that turns to TLS), `tls`, or `none`, which only
            networks in LLMSCOPE_WEBHOOK_ALLOWED_NETWORKS are reached with.
        verify_certificate: Whether the server must prove its name.
    """

    host: Host
    sender: Email
    recipients: Recipients
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: Word | None = None
    verify_certificate: bool = True


class PagerDutySettings(Struct):
    """Which service region's events API; the European one is https://events.eu.pagerduty.com."""

    url: Url = PAGERDUTY_URL


class UrlSecret(Struct):
    """A URL that whoever knows it may post to."""

    url: Url


class WebhookSecrets(Struct):
    """A URL, and the key that signs what is posted there."""

    url: Url
    signing_secret: Word | None = None


class EmailSecrets(Struct):
    """The password of the mail server's user."""

    password: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)] | None = None


class PagerDutySecrets(Struct):
    """The integration key of a service."""

    routing_key: Word


SETTINGS: Final[Mapping[ChannelKind, type[Struct]]] = {
    "slack": NoSettings,
    "email": EmailSettings,
    "webhook": NoSettings,
    "pagerduty": PagerDutySettings,
    "teams": NoSettings,
}
SECRETS: Final[Mapping[ChannelKind, type[Struct]]] = {
    "slack": UrlSecret,
    "email": EmailSecrets,
    "webhook": WebhookSecrets,
    "pagerduty": PagerDutySecrets,
    "teams": UrlSecret,
}


@dataclass(frozen=True)
class Setup:
    """Settings and secrets of a channel, complete and valid."""

    kind: ChannelKind
    settings: Struct
    secrets: Struct

    @property
    def target(self) -> Target:
        """Where it connects to."""
        if isinstance(self.settings, EmailSettings):
            encrypted = self.settings.security != "none"
            return Target(self.settings.host, self.settings.port, encrypted)
        return url_target(self.url)

    @property
    def url(self) -> str:
        """Where it posts to."""
        holder = self.settings if isinstance(self.settings, PagerDutySettings) else self.secrets
        url: str = getattr(holder, "url", "")
        return url


def read_setup(kind: ChannelKind, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Setup:
    """What a channel is made of.

    Raises:
        ChannelError: a field is missing, unknown or wrong.
    """
    setup = Setup(
        kind, _read("settings", settings, SETTINGS[kind]), _read("secrets", secrets, SECRETS[kind])
    )
    _ = setup.target
    if isinstance(setup.secrets, WebhookSecrets) and setup.secrets.signing_secret:
        signing_key(setup.secrets.signing_secret)
    if isinstance(setup.settings, EmailSettings):
        _require_safe_login(setup.settings, setup.secrets)
    return setup


def _read(name: str, given: Mapping[str, Any], kind: type[Struct]) -> Struct:
    try:
        return msgspec.convert(dict(given), kind)
    except msgspec.ValidationError as error:
        # Its words name the field and what is expected there, never what was given.
        raise ChannelError(f"{name}: {error}") from None


def _require_safe_login(settings: EmailSettings, secrets: Struct) -> None:
    password = getattr(secrets, "password", None)
    if (settings.username is None) != (password is None):
        raise ChannelError("settings.username and secrets.password: give both or neither")
    if password is not None and settings.security == "none":
        raise ChannelError("settings.security: a password is not sent without TLS")


def secret_fields(kind: ChannelKind) -> frozenset[str]:
    """Names of what is secret."""
    return frozenset(SECRETS[kind].__struct_fields__)


def url_target(url: str) -> Target:
    """The host behind a URL.

    Raises:
        ChannelError: it is none that can be posted to.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ChannelError("url: it is no URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ChannelError("url: must begin with https:// and a host")
    if parts.username is not None or parts.password is not None:
        raise ChannelError("url: may hold no user and password")
    is_encrypted = parts.scheme == "https"
    return Target(parts.hostname, port or (443 if is_encrypted else 80), is_encrypted)


def new_signing_secret() -> str:
    """A random key for a webhook, in the form of Standard Webhooks."""
    key = randomness.token_bytes(SIGNING_SECRET_BYTES)
    return SIGNING_SECRET_PREFIX + b64encode(key).decode()


def signing_key(secret: str) -> bytes:
    """The bytes that sign.

    Raises:
        ChannelError: the secret is none of `new_signing_secret`'s form.
    """
    try:
        key = b64decode(secret.removeprefix(SIGNING_SECRET_PREFIX), validate=True)
    except (Base64Error, ValueError):
        key = b""
    if not secret.startswith(SIGNING_SECRET_PREFIX) or len(key) < 24:
        raise ChannelError(
            f"secrets.signing_secret: must be {SIGNING_SECRET_PREFIX} and 24 bytes as base64"
        )
    return key
