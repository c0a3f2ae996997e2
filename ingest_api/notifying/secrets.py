"""Secrets of channels: encrypted with the platform's key, or held by the environment."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

KEY_FILE: Final = "secret_key"
VARIABLE: Final = "LLMSCOPE_SECRET_KEY"
# Only names that begin so can be referred to: nothing else of the environment leaves through one.
REFERENCE_PREFIX: Final = "LLMSCOPE_CHANNEL_"
OPERATORS_WEBHOOK: Final = "LLMSCOPE_ALERT_WEBHOOK_URL"
HOW_TO_MAKE: Final = "make one with `llmscope channels new-key`"


class SecretError(Exception):
    """A secret cannot be read or written; the message names the variable and never a secret."""


class SecretBox:
    """Encrypts and decrypts the secrets of channels.

    The first key encrypts, every key decrypts: a new key goes in front, `llmscope channels
    rotate-secrets` encrypts anew, then the old one can go.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        """Args:
            keys: Fernet keys: 32 bytes as URL-safe base64 each.

        Raises:
            SecretError: one is no key, or there is none.
        """
        if not keys:
            raise SecretError(f"{VARIABLE} is not set: {HOW_TO_MAKE}")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise SecretError(f"{VARIABLE} holds something that is no key: {HOW_TO_MAKE}") from None

    def encrypt(self, secrets: Mapping[str, str]) -> bytes | None:
        """The secrets as one token; None where there is none."""
        return self._fernet.encrypt(json.dumps(dict(secrets)).encode()) if secrets else None

    def decrypt(self, token: bytes | None) -> dict[str, str]:
        """What `encrypt` was given.

        Raises:
            SecretError: no key of ours made the token.
        """
        if token is None:
            return {}
        try:
            content: dict[str, str] = json.loads(self._fernet.decrypt(token))
        except InvalidToken:
            raise SecretError(
                f"the secret was encrypted with a key that {VARIABLE} lacks: "
                "add that key, or give the channel its secrets again"
            ) from None
        return content

    def rotate(self, token: bytes) -> bytes:
        """The same secrets, encrypted with the first key.

        Raises:
            SecretError: no key of ours made the token.
        """
        return self.encrypt(self.decrypt(token)) or token


def open_box(secret_key: str, home: Path) -> SecretBox:
    """The box of this platform: LLMSCOPE_SECRET_KEY, else the file that the first start made.

    Raises:
        SecretError: there is no key.
    """
    return SecretBox(read_keys(secret_key) or read_keys(_key_file_text(home / KEY_FILE)))


def read_keys(text: str) -> list[str]:
    """Pure: keys divided by commas or white space."""
    return text.replace(",", " ").split()


def new_key() -> str:
    """A random key."""
    return Fernet.generate_key().decode()


def ensure_key_file(home: Path) -> None:
    """Make the key of this platform where there is none; only its owner can read it."""
    home.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(home / KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w") as file:
        file.write(new_key() + "\n")


def referred_values(
    references: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, str]:
    """By field, what the environment holds under the names in `references`.

    Raises:
        SecretError: a name may not be referred to, or is not set.
    """
    for name in references.values():
        if name != OPERATORS_WEBHOOK:
            require_referable(name)
        if not environment.get(name):
            raise SecretError(f"{name} is not set")
    return {field: environment[name] for field, name in references.items()}


def require_referable(name: str) -> None:
    """Pure: refuse a variable that no channel may name.

    Raises:
        SecretError: it does not begin as such a name does.
    """
    if not (name.startswith(REFERENCE_PREFIX) and name.isidentifier()):
        raise SecretError(f"{name} does not begin with {REFERENCE_PREFIX}")


def _key_file_text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
