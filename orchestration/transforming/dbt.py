"""dbt for Dagster, without the two costs of dagster-dbt's own resource, and how it is shown."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource
from dbt.adapters.base.impl import BaseAdapter
from dbt.version import __version__ as dbt_version
from packaging import version

from orchestration.transforming import run_dbt
from orchestration.transforming.project import target_path


class WarmDbtCliResource(DbtCliResource):
    """dbt in a subprocess, always in the same target folder.

    `dbt --version` takes a second and asks the network for newer releases; an adapter in this
    process is only needed to fetch row counts and column metadata, which we do not.
    """

    fixed_target_path: str

    @property
    def _cli_version(self) -> version.Version:
        return version.parse(dbt_version)

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> BaseAdapter:  # noqa: ARG002
        # dagster-dbt takes the absence of an adapter, as with the Fusion engine, as "no metadata".
        return None  # type: ignore[return-value]

    def _get_unique_target_path(self, *, context: object) -> Path:  # noqa: ARG002
        return Path(self.fixed_target_path)


def dbt_resource(home: Path) -> WarmDbtCliResource:
    """dbt of this environment, called through `run_dbt.py`, which knows DATABASE_URL."""
    return WarmDbtCliResource(
        project_dir=str(run_dbt.DBT_PROJECT),
        profiles_dir=str(run_dbt.DBT_PROJECT),
        dbt_executable=sys.executable,
        global_config_flags=[str(Path(run_dbt.__file__).resolve())],
        fixed_target_path=str(target_path(home)),
    )


class LayerTranslator(DagsterDbtTranslator):
    """Asset key = [schema, table], group = schema."""

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """[schema, table], so that sources are the assets that loading and pricing define."""
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The layer."""
        return str(dbt_resource_props["schema"])

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> Sequence[str]:  # noqa: ARG002
        """One team owns all."""
        return ["team:llmscope"]
