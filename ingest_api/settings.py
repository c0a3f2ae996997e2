"""Every setting of the API: argument, then environment, then default."""

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ingest_api.live.limits import FeedLimits
from ingest_api.notifying.fields import AllowedNetworks, SecretKeyText
from ingest_api.stream import MAX_SHARDS


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names the variable and the fix."""


def _split(value: object) -> object:
    """A comma-separated text as its parts."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


class Settings(BaseSettings):
    """Settings of the API. The environment variable of a field is its alias or its upper-case
    name behind `LLMSCOPE_`.
    """

    model_config = SettingsConfigDict(env_prefix="LLMSCOPE_", populate_by_name=True)

    database_url: str = Field(
        validation_alias="DATABASE_URL",
        repr=False,
        pattern="^postgres(ql)?://",
        description="Postgres with TimescaleDB, as postgresql://user:password@host:port/name.",
    )
    redis_url: str = Field(
        validation_alias="REDIS_URL",
        repr=False,
        pattern="^(rediss?|unix)://",
        description="Redis 7.2 or newer with `appendonly yes`, as redis://host:port/0.",
    )
    home: Path = Field(
        Path(".llmscope"), description="Folder for the seeded key and the published report site."
    )
    api_host: str = Field("127.0.0.1", description="Address that the API listens on.")
    api_port: int = Field(8400, ge=1, le=65535, description="Port that the API listens on.")
    api_processes: int = Field(1, ge=1, le=64, description="Worker processes of the API.")
    max_batch_events: int = Field(1000, ge=1, description="Events in one request, at most.")
    max_body_bytes: int = Field(
        5 * 1024 * 1024, ge=1024, description="Bytes of a request body once decoded, at most."
    )
    max_otlp_body_bytes: int = Field(
        20 * 1024 * 1024,
        ge=1024,
        description="Bytes of an OTLP request once decoded, at most: exporters do not cut their "
        "batches, and drop what is refused.",
    )
    stream_shards: int = Field(
        1, ge=1, le=MAX_SHARDS, description="Streams that the projects are spread over."
    )
    max_stream_entries: int = Field(
        200_000, ge=1, description="Entries of a shard above which the API answers 503."
    )
    max_redis_memory_bytes: int = Field(
        1024**3, ge=1, description="Memory that Redis uses above which the API answers 503."
    )
    query_timeout_seconds: int = Field(
        10, ge=1, le=600, description="Seconds after which a question to the marts is given up."
    )
    redis_cluster: bool = Field(False, description="Whether Redis is a cluster.")
    live_max_clients: int = Field(
        500, ge=0, description="Clients of the live feed that a process of the API serves."
    )
    live_buffer_bytes: int = Field(
        4 * 1024 * 1024,
        ge=1024 * 1024,
        description="Bytes that may wait for a slow client of the live feed; more are dropped.",
    )
    live_heartbeat_seconds: float = Field(
        15.0, gt=0, description="Silence of the live feed after which there is a heartbeat."
    )
    live_stall_seconds: float = Field(
        30.0,
        gt=0,
        description="A client of the live feed that takes nothing for so long is closed.",
    )
    live_token_seconds: float = Field(
        60.0, gt=0, le=3600, description="How long a token opens the live feed."
    )
    ingest_token_seconds: float = Field(
        900.0, gt=0, le=3600, description="How long a token sends events."
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        (), description="Origins whose pages may call the API, comma-separated; `*` is all."
    )
    durability: Annotated[str, Field(pattern="^(require|warn)$")] = Field(
        "warn", description="`require`: refuse to start on a Redis that can lose writes."
    )
    secret_key: SecretKeyText = ""
    webhook_allowed_networks: AllowedNetworks = ()
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = Field(
        "info", description="Least severe level that is logged."
    )

    @property
    def live_limits(self) -> FeedLimits:
        """What clients of the live feed may cost."""
        return FeedLimits(
            self.live_max_clients,
            self.live_buffer_bytes,
            self.live_heartbeat_seconds,
            self.live_stall_seconds,
        )


def environment_name(field: str) -> str:
    """The environment variable behind a field of `Settings`."""
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else f"LLMSCOPE_{field.upper()}"


@cache
def read_settings() -> Settings:
    """Read the environment once.

    Raises:
        SettingsError: names each bad variable and what it must be.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = [f"{_variable(e['loc'])}: {e['msg']}" for e in error.errors()]
        raise SettingsError("bad settings: " + "; ".join(problems)) from None


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0])
    return environment_name(name) if name in Settings.model_fields else name
