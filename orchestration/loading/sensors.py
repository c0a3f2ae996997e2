"""The micro-batcher: a sensor that loads the stream and reports each tick as a materialisation."""

from typing import Final

import dagster as dg

from ingest_api.stream import StreamStats
from orchestration.loading.assets import DEAD_LETTERS, LLM_EVENTS
from orchestration.loading.loader import Loader, LoadReport
from orchestration.resources import EventStream, Warehouse

# The daemon starts a pass over its sensors every 5 s at the earliest, so a tick listens for most
# of that time: an event is committed within a second of its arrival, and at worst after the gap.
DRAIN_SECONDS: Final = 4.0
CONSUMER: Final = "load_events_sensor"


@dg.sensor(
    name="load_events_sensor",
    # Every pass of the daemon: with 5, a pass that comes a moment early would skip this sensor.
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reads the event stream for 4 s at a time, commits to the raw tables, "
    "then acknowledges.",
)
def load_events_sensor(
    warehouse: dg.ResourceParam[Warehouse], event_stream: dg.ResourceParam[EventStream]
) -> dg.SensorResult | dg.SkipReason:
    """One tick: drain for `DRAIN_SECONDS`, report what was loaded."""
    with event_stream.reader(CONSUMER) as reader:
        report = Loader(reader, warehouse.borrow).drain(DRAIN_SECONDS)
        if not report.commit_count:
            return dg.SkipReason("No event arrived since the last tick.")
        return dg.SensorResult(asset_events=materializations(report, reader.stats()))


def materializations(report: LoadReport, stats: StreamStats) -> list[dg.AssetMaterialization]:
    """What one tick did, as the asset pages show it."""
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
                    "lag_event_count": stats.lag_event_count,
                    "oldest_unloaded_seconds": round(stats.oldest_unloaded_seconds, 3),
                },
            )
        )
    if report.dead_letter_count:
        metadata = {"dead_letter_count": report.dead_letter_count}
        found.append(dg.AssetMaterialization(DEAD_LETTERS, metadata=metadata))
    return found
