"""Every setting of the orchestration: environment, then default."""

from functools import cache
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest_api.notifying.fields import AllowedNetworks, SecretKeyText
from ingest_api.stream import MAX_SHARDS


class OrchestrationSettingsError(ValueError):
    """A setting is missing or wrong; the message names the variable and the fix."""


class OrchestrationSettings(BaseSettings):
    """Settings of the Dagster code location."""

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
        description="Redis that holds the event stream, as redis://host:port/0.",
    )
    stream_shards: int = Field(
        1,
        ge=1,
        le=MAX_SHARDS,
        description="Streams that projects are spread over, as the API is told.",
    )
    redis_cluster: bool = Field(False, description="Whether REDIS_URL names a Redis Cluster.")
    drain_run_events: int = Field(
        200_000,
        ge=1_000,
        description="Events that wait in a shard above which a run of its own drains it.",
    )
    stream_retention_seconds: float = Field(
        300.0,
        ge=0,
        le=86_400,
        description="How long loaded entries stay in the stream, for the live feed to resume.",
    )
    stream_retention_bytes: int = Field(
        64 * 1024**2,
        ge=0,
        description="Bytes of loaded entries that a shard keeps, at most.",
    )
    home: Path = Field(
        Path(".llmscope"), description="Folder for dbt's target and the published report site."
    )
    price_catalog: str = Field(
        "",
        description="Price catalog to use instead of the installed one: a data.json of "
        "genai-prices, or a folder of its provider files. Read again with every build.",
    )
    public_url: str = Field(
        "http://127.0.0.1:8400", description="Where people reach the API, for links in pages."
    )
    dagster_url: str = Field(
        "http://127.0.0.1:8401",
        description="Where people reach the Dagster UI, for links in alerts.",
    )
    data_docs_runs: int = Field(
        300,
        ge=1,
        description="Runs of the quality checks whose pages are kept: a day under load.",
    )
    alert_webhook_url: str = Field(
        "",
        repr=False,
        description="A failing check or run is POSTed here as JSON; empty sends nothing.",
    )
    secret_key: SecretKeyText = ""
    webhook_allowed_networks: AllowedNetworks = ()

    @property
    def catalog_path(self) -> Path | None:
        """Where the price catalog is; None is the installed one."""
        return Path(self.price_catalog) if self.price_catalog else None


@cache
def read_settings() -> OrchestrationSettings:
    """Read the environment once.

    Raises:
        OrchestrationSettingsError: names each bad variable and what it must be.
    """
    try:
        return OrchestrationSettings()
    except ValidationError as error:
        problems = [f"{_variable(str(e['loc'][0]))}: {e['msg']}" for e in error.errors()]
        raise OrchestrationSettingsError("bad settings: " + "; ".join(problems)) from None


def _variable(field: str) -> str:
    known = field in OrchestrationSettings.model_fields
    return f"LLMSCOPE_{field.upper()}" if known else field
