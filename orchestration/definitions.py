"""The Dagster code location: wiring only."""

import dagster as dg

from ingest_api.alerts.messages import Links
from orchestration.alerting.alert_checks import alert_rules, alert_rules_sensor
from orchestration.alerting.assets import notifications
from orchestration.alerting.notifier import Notifier
from orchestration.alerting.sending_sensor import (
    notification_delivery,
    send_notifications_sensor,
)
from orchestration.alerting.sensors import failed_checks_sensor, failed_runs_sensor
from orchestration.checking.anomaly_checks import newest_anomalies
from orchestration.checking.data_docs import DataDocs
from orchestration.checking.ingest_checks import ingest_checks_sensor, ingest_flow
from orchestration.checking.quality_checks import ledger_quality
from orchestration.checking.sensors import check_quality_job, check_quality_sensor
from orchestration.loading.assets import loading_assets
from orchestration.loading.dead_letters import (
    discard_dead_letters_job,
    replay_dead_letters_job,
)
from orchestration.loading.drain_runs import drain_events_job
from orchestration.loading.sensors import load_events_sensor
from orchestration.pricing.assets import model_prices
from orchestration.pricing.schedules import refresh_prices_schedule
from orchestration.reporting.assets import report_site
from orchestration.reporting.pages import ReportPages
from orchestration.reporting.schedules import refresh_report_site_job, report_site_sensor
from orchestration.resources import EventStream, Warehouse
from orchestration.settings import OrchestrationSettings, read_settings
from orchestration.transforming.assets import build_marts_job, marts
from orchestration.transforming.dbt import dbt_resource
from orchestration.transforming.releasing import release_held_events_job
from orchestration.transforming.restating import restate_costs_job
from orchestration.transforming.sensors import build_marts_sensor


def resources(settings: OrchestrationSettings) -> dict[str, object]:
    """What assets and sensors are handed, by name.

    The URLs are named, not given, because Dagster shows the configuration of its resources.
    """
    return {
        "warehouse": Warehouse(database_url=dg.EnvVar("DATABASE_URL")),
        "event_stream": EventStream(
            redis_url=dg.EnvVar("REDIS_URL"),
            shards=settings.stream_shards,
            cluster=settings.redis_cluster,
            drain_run_events=settings.drain_run_events,
            retention_seconds=settings.stream_retention_seconds,
            retention_bytes=settings.stream_retention_bytes,
        ),
        "dbt": dbt_resource(settings.home),
        "alert_links": Links(settings.public_url, settings.dagster_url),
        "notifier": Notifier.from_settings(settings),
        "data_docs": DataDocs(
            home=str(settings.home),
            public_url=settings.public_url,
            dagster_url=settings.dagster_url,
            kept_runs=settings.data_docs_runs,
        ),
        "report_pages": ReportPages(home=str(settings.home), public_url=settings.public_url),
    }


defs = dg.Definitions(
    assets=[*loading_assets, model_prices, marts, report_site, notifications],
    asset_checks=[
        ingest_flow,
        ledger_quality,
        newest_anomalies,
        alert_rules,
        notification_delivery,
    ],
    jobs=[
        build_marts_job,
        restate_costs_job,
        release_held_events_job,
        check_quality_job,
        refresh_report_site_job,
        drain_events_job,
        replay_dead_letters_job,
        discard_dead_letters_job,
    ],
    schedules=[refresh_prices_schedule],
    sensors=[
        load_events_sensor,
        ingest_checks_sensor,
        build_marts_sensor,
        check_quality_sensor,
        report_site_sensor,
        alert_rules_sensor,
        failed_checks_sensor,
        failed_runs_sensor,
        send_notifications_sensor,
    ],
    resources=resources(read_settings()),
)
