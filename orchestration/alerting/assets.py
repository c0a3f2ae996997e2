"""The outbox as Dagster shows it."""

from typing import Final

import dagster as dg

NOTIFICATIONS: Final = dg.AssetKey(["app", "notifications"])

notifications = dg.AssetSpec(
    NOTIFICATIONS,
    group_name="alerting",
    owners=["team:llmscope"],
    kinds={"postgres"},
    description="The outbox: one row per notification and channel, written in the transaction that "
    "causes it and sent by `send_notifications_sensor`.",
)
