"""A webhook that really listens."""

from collections.abc import Iterator

import pytest

from tests.webhook import WebhookServer


@pytest.fixture
def webhook() -> Iterator[WebhookServer]:
    server = WebhookServer()
    yield server
    server.stop()
