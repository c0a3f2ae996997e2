"""Every dbt model as an asset, and the job that prices and builds."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, dbt_assets

from orchestration.alerting.alert_checks import alert_rules
from orchestration.pricing.assets import model_prices
from orchestration.resources import Warehouse
from orchestration.settings import read_settings
from orchestration.transforming.dbt import LayerTranslator
from orchestration.transforming.dbt_args import build_args
from orchestration.transforming.project import prepare_manifest
from orchestration.transforming.triggers import read_loaded_before_of_run


@dbt_assets(
    manifest=prepare_manifest(read_settings().home),
    dagster_dbt_translator=LayerTranslator(),
    pool="dbt",
    name="marts",
)
def marts(
    context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: Warehouse
) -> Iterator[Any]:
    """Build the selected models over what is new, and test them."""
    with warehouse.connect() as connection:
        loaded_before = read_loaded_before_of_run(context.run.tags, connection)
    yield from dbt.cli(build_args(loaded_before), context=context).stream()


build_marts_job = dg.define_asset_job(
    "build_marts_job",
    # dbt's own tests, and no other check of the same tables: those have their own time.
    selection=dg.AssetSelection.assets(model_prices, marts).without_checks()
    | dg.AssetSelection.checks(marts, alert_rules),
    executor_def=dg.in_process_executor,
    description="Resolves and prices new models, builds and tests the marts, judges alert rules. "
    "Work depends on what is new, not on what is stored.",
)
