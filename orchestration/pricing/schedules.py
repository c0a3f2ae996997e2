"""When prices renew although nothing is sent: every build refreshes them, and this starts one."""

import dagster as dg

from orchestration.pricing.catalog_files import read_catalog
from orchestration.pricing.refresh import is_known_version
from orchestration.resources import Warehouse
from orchestration.settings import read_settings
from orchestration.transforming.assets import build_marts_job


@dg.schedule(
    name="refresh_prices_schedule",
    job=build_marts_job,
    # Not on the hour, when much else runs.
    cron_schedule="17 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once an hour, starts a build where the price catalog is another than before: its "
    "prices are taken, and calls that had none are priced.",
)
def refresh_prices_schedule(
    warehouse: dg.ResourceParam[Warehouse],
) -> dg.RunRequest | dg.SkipReason:
    """One look at the catalog."""
    catalog = read_catalog(read_settings().catalog_path)
    with warehouse.connect() as connection:
        if is_known_version(connection, catalog):
            return dg.SkipReason(f"Catalog {catalog.version} is the one that was last used.")
    return dg.RunRequest(tags={"llmscope/reason": f"price catalog {catalog.version} is new"})
