"""What the alerting sensors are handed."""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import httpx

from ingest_api.notifying.networks import TargetPolicy
from ingest_api.notifying.secrets import OPERATORS_WEBHOOK, open_box
from orchestration.alerting.sending import Sender
from orchestration.settings import OrchestrationSettings


@dataclass(frozen=True)
class Notifier:
    """How notifications are sent, and where their links lead.

    A plain object, because Dagster shows the configuration of its own resources in the UI.

    Attributes:
        has_webhook: Whether LLMSCOPE_ALERT_WEBHOOK_URL is set.
        dagster_url: Where people reach the Dagster UI.
    """

    sender: Sender = field(repr=False)
    has_webhook: bool
    dagster_url: str

    @classmethod
    def from_settings(cls, settings: OrchestrationSettings) -> "Notifier":
        """As the platform is set up."""
        sender = Sender(
            open_box=partial(open_box, settings.secret_key, settings.home),
            environment={**os.environ, OPERATORS_WEBHOOK: settings.alert_webhook_url},
            policy=TargetPolicy(settings.webhook_allowed_networks),
            tls=httpx.create_ssl_context(),
            clock=partial(datetime.now, UTC),
        )
        return cls(sender, bool(settings.alert_webhook_url), settings.dagster_url)
