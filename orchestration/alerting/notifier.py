"""One attempt to deliver a message."""

import logging
from dataclasses import dataclass, field
from typing import Final

import httpx

from orchestration.alerting.messages import Message

TIMEOUT_SECONDS: Final = 5.0

# httpx logs the URL of each request, and a webhook's URL is often its secret.
logging.getLogger("httpx").setLevel(logging.WARNING)


class DeliveryError(Exception):
    """The webhook did not take a message; it may be sent again. Never quotes the URL."""


@dataclass(frozen=True)
class Notifier:
    """The webhook that messages go to.

    A plain object, because Dagster shows the configuration of its own resources in the UI.

    Attributes:
        webhook_url: Where to POST; empty sends nothing.
        dagster_url: Where people reach the Dagster UI.
    """

    webhook_url: str = field(repr=False)
    dagster_url: str

    @property
    def is_configured(self) -> bool:
        """Whether there is anyone to tell."""
        return bool(self.webhook_url)

    def send(self, message: Message) -> None:
        """Deliver `message` in one attempt.

        Raises:
            DeliveryError: no answer within `TIMEOUT_SECONDS`, or one that is not 2xx.
        """
        headers = {"Idempotency-Key": message.idempotency_key, "User-Agent": "llmscope"}
        try:
            response = httpx.post(
                self.webhook_url,
                json=message.payload(),
                headers=headers,
                timeout=TIMEOUT_SECONDS,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DeliveryError(type(error).__name__) from None
        if not response.is_success:
            raise DeliveryError(f"the webhook answered {response.status_code}")
