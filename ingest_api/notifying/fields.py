"""Settings that the API and the orchestration read alike."""

from typing import Annotated, Final

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from ingest_api.notifying.networks import Network, read_networks

KEYS_WORDS: Final = (
    "Fernet keys that encrypt the secrets of channels, comma-separated: the first encrypts, all "
    "decrypt. Empty: the key file that the first start makes."
)
NETWORKS_WORDS: Final = (
    "Networks of our own that channels may reach, as 10.0.0.0/8, comma-separated."
)


def _networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    return read_networks(part.strip() for part in value.split(",") if part.strip())


SecretKeyText = Annotated[str, Field(repr=False, description=KEYS_WORDS)]
AllowedNetworks = Annotated[
    tuple[Network, ...], NoDecode, BeforeValidator(_networks), Field(description=NETWORKS_WORDS)
]
