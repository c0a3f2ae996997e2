"""The price ledger as Dagster assets."""

from collections.abc import Iterator

import dagster as dg

from orchestration.pricing.catalog_files import read_catalog
from orchestration.pricing.own_prices import read_own_prices
from orchestration.pricing.refresh import read_unresolved, refresh_prices
from orchestration.resources import Warehouse
from orchestration.settings import read_settings
from orchestration.transforming.triggers import read_loaded_before_of_run

MAX_SHOWN_MODELS = 100
MODEL_MATCHES = dg.AssetKey(["pricing", "model_matches"])
MODEL_PRICES = dg.AssetKey(["pricing", "model_prices"])


def _spec(key: dg.AssetKey, deps: list[dg.AssetKey], description: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        deps=deps,
        description=description,
        group_name="pricing",
        owners=["team:llmscope"],
        kinds={"python", "postgres"},
    )


# The pool of the dbt builds: a price that lands in the middle of a build would be seen by some
# of its models and not by others.
@dg.multi_asset(
    name="model_prices",
    specs=[
        _spec(
            MODEL_MATCHES,
            [dg.AssetKey(["raw", "llm_events"])],
            "One row per observed provider, request model and response model: the catalog's "
            "model that it is priced as, or the reason why it cannot be. The newest row rules.",
        ),
        _spec(
            MODEL_PRICES,
            [MODEL_MATCHES],
            "Dated prices: of the catalog for the models seen, our own reviewed ones, and what "
            "tenants and projects have negotiated. No row is ever edited: a change is a new "
            "revision of all rows of the model.",
        ),
    ],
    pool="dbt",
)
def model_prices(
    context: dg.AssetExecutionContext, warehouse: Warehouse
) -> Iterator[dg.MaterializeResult[None]]:
    """Resolve the models of newly loaded rows and insert the prices they lack."""
    catalog = read_catalog(read_settings().catalog_path)
    with warehouse.connect() as connection:
        loaded_before = read_loaded_before_of_run(context.run.tags, connection)
        refresh = refresh_prices(connection, catalog, loaded_before, read_own_prices())
        unresolved = read_unresolved(connection)
    version = {"catalog_version": catalog.version}
    yield dg.MaterializeResult(
        MODEL_MATCHES,
        metadata={
            "rows": refresh.match_count,
            "unresolved_count": sum(map(len, unresolved.values())),
            "unresolved": dg.MetadataValue.json(
                {reason: models[:MAX_SHOWN_MODELS] for reason, models in unresolved.items()}
            ),
            **version,
        },
    )
    yield dg.MaterializeResult(MODEL_PRICES, metadata={"rows": refresh.price_count, **version})
