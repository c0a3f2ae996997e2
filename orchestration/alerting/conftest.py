"""Receivers that really listen, and an outbox."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.mail_server import MailServer
from tests.outbox import OutboxCase
from tests.webhook import WebhookServer


@pytest.fixture
def webhook() -> Iterator[WebhookServer]:
    server = WebhookServer()
    yield server
    server.stop()


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[MailServer]:
    server = MailServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def outbox(database_url: str) -> Iterator[OutboxCase]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield OutboxCase(database_url, connection)
