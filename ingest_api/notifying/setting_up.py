"""From what somebody gives for a channel to what is stored of it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from ingest_api.database.channels import StoredSetup
from ingest_api.notifying.kinds import (
    ChannelError,
    ChannelKind,
    Setup,
    new_signing_secret,
    read_setup,
)
from ingest_api.notifying.networks import ForbiddenTargetError, TargetPolicy, UnknownHostError
from ingest_api.notifying.secrets import SecretBox, require_referable

NO_REFERENCES: Final[Mapping[str, str]] = MappingProxyType({})
# What a variable holds is known to the platform alone, and judged at each attempt.
STAND_INS: Final = {
    "url": "https://referred.invalid/",
    "signing_secret": "whsec_" + "A" * 32,
}


class PreparedSetup(NamedTuple):
    """What is stored, and the signing secret that was made for it, which is shown once."""

    stored: StoredSetup
    new_signing_secret: str | None = None


def prepare(
    kind: ChannelKind,
    settings: Mapping[str, Any],
    secrets: Mapping[str, str],
    open_box: Callable[[], SecretBox],
    policy: TargetPolicy,
    references: Mapping[str, str] = NO_REFERENCES,
) -> PreparedSetup:
    """Check what was given, make a webhook's signing secret where none was, and encrypt.

    Args:
        kind: Of the channel.
        settings: What may be shown.
        secrets: What may not, by field.
        open_box: Gives what encrypts.
        policy: Which hosts may be reached.
        references: By field, the environment variable that holds a secret. Only operators may give
            them: whoever chooses the host would get what the variable holds.

    Raises:
        ChannelError: a field is wrong, or the host may not be reached.
        SecretError: there is no key to encrypt with, or a variable may not be referred to.
    """
    given = {**secrets, **references}
    made = new_signing_secret() if kind == "webhook" and "signing_secret" not in given else None
    stored = {**secrets, **({"signing_secret": made} if made else {})}
    for name in references.values():
        require_referable(name)
    stand_ins = {field: STAND_INS.get(field, "referred") for field in references}
    setup = read_setup(kind, settings, {**stand_ins, **stored})
    refuse_forbidden_target(setup, policy)
    shown: dict[str, Any] = msgspec.to_builtins(setup.settings)
    secret = open_box().encrypt(stored) if stored else None
    return PreparedSetup(StoredSetup(shown, secret, references), made)


def refuse_forbidden_target(setup: Setup, policy: TargetPolicy) -> None:
    """Refuse a host in a private network. One that does not resolve is judged when it does.

    Raises:
        ChannelError: no address of the host may be reached.
    """
    host, port, is_encrypted = setup.target
    try:
        policy.addresses(host, port, is_encrypted=is_encrypted)
    except ForbiddenTargetError as error:
        raise ChannelError(f"{'host' if setup.kind == 'email' else 'url'}: {error}") from None
    except UnknownHostError:
        return
