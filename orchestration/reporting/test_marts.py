"""When the pages are published again."""

import pytest

from orchestration.reporting.marts import refresh_reason
from orchestration.reporting.publishing import Published

SHOWN = Published(shell_fingerprint="shell-1", marts_version="marts 1", published_at=0.0)


@pytest.mark.parametrize(
    ("published", "marts_version", "fingerprint", "reason"),
    [
        (SHOWN, "marts 1", "shell-1", None),
        (None, "marts 1", "shell-1", "nothing is published yet"),
        (SHOWN, "marts 2", "shell-1", "the marts have changed"),
        (SHOWN, "marts 1", "shell-2", "the pages themselves have changed"),
        (SHOWN, "marts 1", None, "the pages themselves have changed"),
    ],
)
def test_the_pages_are_published_again_only_when_something_changed(
    published: Published | None, marts_version: str, fingerprint: str | None, reason: str | None
) -> None:
    assert refresh_reason(published, marts_version, fingerprint) == reason
