"""What loading did, as the asset pages of Dagster show it."""

from collections.abc import Sequence

import dagster as dg

from ingest_api.stream import StreamStats
from orchestration.loading.assets import DEAD_LETTERS, LLM_EVENTS
from orchestration.loading.loader import LoadReport


def materializations(
    report: LoadReport, shards: Sequence[StreamStats]
) -> list[dg.AssetMaterialization]:
    """What one tick or run did, as the asset pages show it."""
    found = []
    if report.event_count:
        found.append(
            dg.AssetMaterialization(
                LLM_EVENTS,
                metadata={
                    "dagster/partition_row_count": report.row_count,
                    "event_count": report.event_count,
                    "repeated_event_count": report.repeated_event_count,
                    "events_per_second": round(report.events_per_second),
                    "commit_count": report.commit_count,
                    "lag_event_count": sum(one.lag_event_count for one in shards),
                    "oldest_unloaded_seconds": round(
                        max((one.oldest_unloaded_seconds for one in shards), default=0.0), 3
                    ),
                },
            )
        )
    if report.dead_letter_count:
        metadata = {"dead_letter_count": report.dead_letter_count}
        found.append(dg.AssetMaterialization(DEAD_LETTERS, metadata=metadata))
    return found
