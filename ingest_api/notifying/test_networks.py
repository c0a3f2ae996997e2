"""Which addresses channels may reach, and that a name cannot lead elsewhere."""

import pytest

from ingest_api.notifying.networks import (
    ANY_TARGET,
    ForbiddenTargetError,
    TargetPolicy,
    UnknownHostError,
    read_networks,
    resolve,
)

FORBIDDEN = [
    "0.0.0.0",  # noqa: S104 - an address to refuse
    "10.0.0.1",
    "100.64.0.1",  # carrier-grade NAT
    "100.100.100.200",  # Alibaba's metadata
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # Azure's platform services
    "169.254.169.254",  # metadata of most clouds
    "169.254.170.2",  # credentials of containers
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",  # Oracle's metadata
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",  # IPv4-compatible
    "::ffff:127.0.0.1",  # IPv4-mapped
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",  # IPv4-translated
    "64:ff9b::127.0.0.1",  # NAT64
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::10.0.0.1",  # NAT64 of one's own
    "100::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
    "2001:db8::1",
    "2002:7f00:1::1",  # 6to4
    "2002:a9fe:a9fe::1",
    "fc00::1",
    "fd00:ec2::254",  # AWS's metadata
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "100.128.0.1",
    "172.32.0.1",
    "192.169.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e",
]


def policy_for(*answers: str, allowed: tuple[str, ...] = ()) -> TargetPolicy:
    return TargetPolicy(read_networks(allowed), lambda _host, _port: list(answers))


@pytest.mark.parametrize("address", FORBIDDEN)
def test_an_address_of_no_public_network_is_refused(address: str) -> None:
    with pytest.raises(ForbiddenTargetError, match="LLMSCOPE_WEBHOOK_ALLOWED_NETWORKS"):
        policy_for(address).addresses("hooks.example.com", 443)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_may_be_reached(address: str) -> None:
    found = policy_for(address).addresses("hooks.example.com", 443)

    assert len(found) == 1


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "0", "::1",
     "::ffff:7f00:1", "localhost"],
)  # fmt: skip
def test_a_loopback_address_in_disguise_is_refused(host: str) -> None:
    with pytest.raises(ForbiddenTargetError):
        TargetPolicy().addresses(host, 443)


def test_of_a_name_with_both_only_the_public_address_is_reached() -> None:
    assert policy_for("10.0.0.1", "1.1.1.1", "::1").addresses("both.example", 443) == ["1.1.1.1"]


def test_a_network_that_is_allowed_by_name_is_reached_and_no_other() -> None:
    allowed = ("10.1.0.0/16", "fd12::/16")

    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1"):
        assert policy_for(address, allowed=allowed).addresses("own.example", 80)
    for address in ("10.2.0.1", "fd13::1", "127.0.0.1"):
        with pytest.raises(ForbiddenTargetError):
            policy_for(address, allowed=allowed).addresses("own.example", 443)


def test_what_is_not_encrypted_stays_in_our_own_networks() -> None:
    own = policy_for("10.1.2.3", allowed=("10.0.0.0/8",))

    assert own.addresses("own.example", 80, is_encrypted=False) == ["10.1.2.3"]
    with pytest.raises(ForbiddenTargetError, match="TLS"):
        policy_for("1.1.1.1").addresses("hooks.example.com", 80, is_encrypted=False)


def test_the_operator_may_name_any_target() -> None:
    assert ANY_TARGET.addresses("127.0.0.1", 80, is_encrypted=False) == ["127.0.0.1"]


def test_a_name_that_does_not_resolve_is_told_apart() -> None:
    with pytest.raises(UnknownHostError):
        resolve("nowhere.invalid", 443)
    with pytest.raises(UnknownHostError):
        resolve("a" * 70 + ".example", 443)
