"""What each kind of channel takes."""

from typing import Any

import pytest

from ingest_api.notifying.kinds import (
    ChannelError,
    ChannelKind,
    Target,
    new_signing_secret,
    read_setup,
    signing_key,
)

EMAIL = {"host": "mail.example.com", "sender": "l@example.com", "recipients": ["a@example.com"]}
LOGIN = {**EMAIL, "username": "l"}
URL = "https://hooks.example.com/secret-token"


@pytest.mark.parametrize(
    ("kind", "settings", "secrets", "target"),
    [
        ("slack", {}, {"url": URL}, Target("hooks.example.com", 443, True)),
        ("teams", {}, {"url": "https://[2001:db8::1]:8443/x"}, Target("2001:db8::1", 8443, True)),
        ("webhook", {}, {"url": "http://10.0.0.1/x"}, Target("10.0.0.1", 80, False)),
        ("pagerduty", {}, {"routing_key": "k"}, Target("events.pagerduty.com", 443, True)),
        ("email", EMAIL, {}, Target("mail.example.com", 587, True)),
        ("email", {**LOGIN, "port": 465, "security": "tls"}, {"password": "p"},
         Target("mail.example.com", 465, True)),
        ("email", {**EMAIL, "port": 25, "security": "none"}, {},
         Target("mail.example.com", 25, False)),
    ],
)  # fmt: skip
def test_a_kind_takes_what_it_needs(
    kind: ChannelKind, settings: dict[str, Any], secrets: dict[str, str], target: Target
) -> None:
    assert read_setup(kind, settings, secrets).target == target


@pytest.mark.parametrize(
    ("kind", "settings", "secrets", "words"),
    [
        ("slack", {}, {}, "url"),
        ("slack", {"channel": "x"}, {"url": URL}, "settings: .*channel"),
        ("slack", {}, {"url": "hooks.example.com"}, "https://"),
        ("slack", {}, {"url": "ftp://hooks.example.com"}, "https://"),
        ("slack", {}, {"url": "https://user:secret-token@hooks.example.com"}, "no user"),
        ("slack", {}, {"url": "https://hooks.example.com/\r\nHost: x"}, "url"),
        ("slack", {}, {"url": "https://hooks.example.com:secret-token/"}, "no URL"),
        ("webhook", {}, {"url": URL, "signing_secret": "secret-token"}, "whsec_"),
        ("webhook", {}, {"url": URL, "signing_secret": "whsec_c2hvcnQ="}, "24 bytes"),
        ("pagerduty", {}, {"routing_key": ""}, "routing_key"),
        ("email", {**EMAIL, "recipients": []}, {}, "recipients"),
        ("email", {**EMAIL, "recipients": ["a@example.com\nBcc: b@example.com"]}, {}, "recipients"),
        ("email", {**EMAIL, "sender": "nobody"}, {}, "sender"),
        ("email", {**EMAIL, "host": "mail.example.com/x"}, {}, "host"),
        ("email", LOGIN, {}, "both or neither"),
        ("email", EMAIL, {"password": "secret-token"}, "both or neither"),
        ("email", {**LOGIN, "security": "none"}, {"password": "secret-token"}, "without TLS"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_without_quoting_it(
    kind: ChannelKind, settings: dict[str, Any], secrets: dict[str, str], words: str
) -> None:
    with pytest.raises(ChannelError, match=words) as refused:
        read_setup(kind, settings, secrets)

    assert "secret-token" not in str(refused.value)


def test_a_signing_secret_of_ours_is_one_of_32_bytes() -> None:
    first, second = new_signing_secret(), new_signing_secret()

    assert len(signing_key(first)) == 32
    assert first != second
