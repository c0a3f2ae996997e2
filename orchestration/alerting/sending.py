"""From the outbox to the receivers: claim, attempt, mark, channel beside channel."""

import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

import psycopg

from ingest_api.database.channels import ENVIRONMENT_CHANNEL_ID
from ingest_api.database.notifications import read_payload
from ingest_api.database.outbox import (
    Claim,
    claim_next,
    due_channels,
    give_up_old,
    mark_delivered,
    mark_failed,
)
from ingest_api.notifying.kinds import (
    ChannelError,
    EmailSecrets,
    EmailSettings,
    PagerDutySecrets,
    PagerDutySettings,
    Setup,
    UrlSecret,
    WebhookSecrets,
    read_setup,
)
from ingest_api.notifying.networks import ANY_TARGET, TargetPolicy
from ingest_api.notifying.secrets import SecretBox, SecretError, referred_values
from orchestration.alerting.http_sender import Deadline, post
from orchestration.alerting.mail import mail_message
from orchestration.alerting.outcomes import Outcome, failure_after
from orchestration.alerting.pagerduty import pagerduty_request
from orchestration.alerting.requests import HttpRequest
from orchestration.alerting.slack import slack_request
from orchestration.alerting.smtp_sender import send_mail, tls_context
from orchestration.alerting.teams import teams_request
from orchestration.alerting.webhook import webhook_request
from orchestration.alerting.wording import Dispatch

ATTEMPT_SECONDS: Final = 10.0
# A tick that takes longer than 60 s has failed for the daemon: no attempt begins after these, and
# the last one takes 15 s at most. Meanwhile the tick holds one of four places for sensors.
TICK_SECONDS: Final = 20.0
MAX_CHANNELS_AT_ONCE: Final = 8


class Delivery(NamedTuple):
    """What was achieved. What is given up has failed too, or has waited for too long."""

    delivered_count: int = 0
    failed_count: int = 0
    given_up_count: int = 0


@dataclass(frozen=True)
class Sender:
    """All that an attempt needs beside its claim.

    Attributes:
        open_box: Opens the secrets; raises SecretError where there is no key.
        environment: Holds the secrets that channels refer to.
        policy: Which networks may be reached.
        tls: Which certificates are trusted.
        clock: UTC.
    """

    open_box: Callable[[], SecretBox] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    policy: TargetPolicy
    tls: ssl.SSLContext
    clock: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    attempt_seconds: float = ATTEMPT_SECONDS

    def attempt(self, claim: Claim) -> Outcome:
        """Send one notification once; whatever happens is an outcome."""
        try:
            setup = self.read_setup(claim)
        except (SecretError, ChannelError) as error:
            return Outcome(str(error))
        notification = read_payload(claim.payload)
        dispatch = Dispatch(notification, claim.channel_id, claim.may_have_arrived)
        is_environments = claim.channel_id == ENVIRONMENT_CHANNEL_ID
        policy = ANY_TARGET if is_environments else self.policy
        deadline = Deadline(self.monotonic() + self.attempt_seconds, self.monotonic)
        if isinstance(setup.settings, EmailSettings):
            return self._send_mail(dispatch, setup, policy, deadline)
        now = self.clock()
        return post(http_request(dispatch, setup, now), policy, deadline, now, self.tls)

    def read_setup(self, claim: Claim) -> Setup:
        """The channel's settings and secrets.

        Raises:
            SecretError: a secret cannot be read.
            ChannelError: a secret of the environment does not fit.
        """
        stored = self.open_box().decrypt(claim.secret) if claim.secret else {}
        referred = referred_values(claim.secret_env, self.environment)
        return read_setup(claim.kind, claim.settings, {**stored, **referred})

    def _send_mail(
        self, dispatch: Dispatch, setup: Setup, policy: TargetPolicy, deadline: Deadline
    ) -> Outcome:
        assert isinstance(setup.settings, EmailSettings)  # noqa: S101 - asked by the caller
        assert isinstance(setup.secrets, EmailSecrets)  # noqa: S101 - the same kind
        return send_mail(
            mail_message(dispatch, setup.settings),
            setup.settings,
            setup.secrets.password,
            policy,
            deadline,
            tls_context(setup.settings, self.tls),
        )


def http_request(dispatch: Dispatch, setup: Setup, now: datetime) -> HttpRequest:
    """Pure: the request of a channel that is posted to."""
    match setup.secrets, setup.kind:
        case WebhookSecrets() as secrets, _:
            return webhook_request(dispatch, secrets, now)
        case PagerDutySecrets(routing_key), _:
            assert isinstance(setup.settings, PagerDutySettings)  # noqa: S101 - the same kind
            return pagerduty_request(dispatch, setup.settings.url, routing_key)
        case UrlSecret(url), "teams":
            return teams_request(dispatch, url)
        case UrlSecret(url), _:
            return slack_request(dispatch, url)
    raise AssertionError(setup.kind)


def send_due(
    connection: psycopg.Connection, sender: Sender, seconds: float = TICK_SECONDS
) -> Delivery:
    """Send what is due, several channels at once, until none is left or `seconds` are over.

    Args:
        connection: Autocommit; each claim and each mark is committed by itself.
        sender: Makes the attempts.
        seconds: After which no attempt begins.
    """
    given_up_count = give_up_old(connection, sender.clock())
    deadline = sender.monotonic() + seconds
    channels = due_channels(connection, sender.clock())
    drain = partial(drain_channel, connection, sender, deadline)
    with ThreadPoolExecutor(MAX_CHANNELS_AT_ONCE) as threads:
        parts = list(threads.map(drain, channels))
    return _add_up([*parts, Delivery(given_up_count=given_up_count)])


def drain_channel(
    connection: psycopg.Connection, sender: Sender, deadline: float, channel_id: UUID
) -> Delivery:
    """Send what is due in one channel, until an attempt fails as the next one would."""
    delivery = Delivery()
    while sender.monotonic() < deadline:
        claim = claim_next(connection, channel_id, sender.clock())
        if claim is None:
            break
        outcome = sender.attempt(claim)
        delivery = _add_up([delivery, _mark(connection, claim, outcome, sender.clock())])
        if not (outcome.is_delivered or outcome.is_final):
            break
    return delivery


def _mark(
    connection: psycopg.Connection, claim: Claim, outcome: Outcome, now: datetime
) -> Delivery:
    if outcome.is_delivered:
        mark_delivered(connection, claim, now)
        return Delivery(delivered_count=1)
    failure = failure_after(outcome, claim.attempt_count, claim.created_at, now)
    mark_failed(connection, claim, failure, now)
    return Delivery(failed_count=1, given_up_count=int(failure.gives_up))


def _add_up(parts: list[Delivery]) -> Delivery:
    return Delivery(*map(sum, zip(*parts, strict=True)))
