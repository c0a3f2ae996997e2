"""Which addresses a channel may reach, and sockets that reach no other.

Whoever may make a channel chooses a host. So that nobody looks through us into the networks that
the platform stands in, a name is resolved first, each address is judged, and the socket connects to
an address that was judged: what the name resolves to a moment later changes nothing.
"""

import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from threading import Thread
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Sequence[str]]

RESOLVE_SECONDS: Final = 5.0
# The only IPv6 addresses that are routed between networks.
GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
# An IPv4 address in an IPv6 one: the last four bytes are what is reached.
NAT64: Final = IPv6Network("64:ff9b::/96")
# Beyond what `is_global` knows, which grows with Python's patch releases.
SPECIAL: Final = tuple(
    map(
        ip_network,
        (
            "192.0.0.0/24",  # protocol assignments, Oracle's metadata among them
            "192.88.99.0/24",  # relays of 6to4
            "168.63.129.16/32",  # Azure's platform services, inside a virtual machine
            "2001::/23",  # protocol assignments, Teredo among them
            "2002::/16",  # 6to4: an IPv4 address in disguise
        ),
    )
)


class TargetError(Exception):
    """A host that no channel may reach, or that does not resolve; the message is a sentence."""


class ForbiddenTargetError(TargetError):
    """Each address of the host lies in a network that channels may not reach."""


class UnknownHostError(TargetError):
    """The name does not resolve now."""


def read_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks written as 10.0.0.0/8.

    Raises:
        ValueError: one is none; the message names it.
    """
    return tuple(map(ip_network, texts))


def is_public(address: Address) -> bool:
    """Whether an address belongs to the internet and to nobody's own network."""
    match address:
        case IPv4Address():
            return address.is_global and not (address.is_multicast or _is_special(address))
        case IPv6Address():
            if inner := address.ipv4_mapped:
                return is_public(inner)
            if address in NAT64:
                return is_public(IPv4Address(address.packed[-4:]))
            is_routed = address in GLOBAL_UNICAST and address.is_global
            return is_routed and not _is_special(address)


def _is_special(address: Address) -> bool:
    return any(address in network for network in SPECIAL)


def resolve(host: str, port: int) -> list[str]:
    """Addresses of a host by the system's resolver, best first.

    Raises:
        UnknownHostError: it has none, or the resolver does not answer within `RESOLVE_SECONDS`.
    """
    found: list[str] = []

    def ask() -> None:
        with suppress(OSError, UnicodeError):
            answer = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in answer))

    # The system's resolver takes no time limit.
    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(RESOLVE_SECONDS)
    if not found:
        raise UnknownHostError("the host name does not resolve")
    return found


@dataclass(frozen=True)
class TargetPolicy:
    """What channels may reach: the internet, and `allowed` networks of our own."""

    allowed: tuple[Network, ...] = ()
    resolver: Resolver = resolve

    def is_own(self, address: Address) -> bool:
        """Whether it lies in a network that was allowed by name."""
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        judged = mapped or address
        return any(judged in network for network in self.allowed)

    def addresses(self, host: str, port: int, *, is_encrypted: bool = True) -> list[str]:
        """Addresses of a host that may be reached; without encryption in our own networks alone.

        Raises:
            UnknownHostError: the name does not resolve.
            ForbiddenTargetError: none may be reached.
        """
        found = [_parse(text) for text in self.resolver(host, port)]
        if own := [str(address) for address in found if self.is_own(address)]:
            return own
        public = [str(address) for address in found if is_public(address)]
        if not public:
            raise ForbiddenTargetError(
                "the host lies in a private network; LLMSCOPE_WEBHOOK_ALLOWED_NETWORKS allows one"
            )
        if not is_encrypted:
            raise ForbiddenTargetError(
                "without TLS only networks in LLMSCOPE_WEBHOOK_ALLOWED_NETWORKS are reached"
            )
        return public


def _parse(text: str) -> Address:
    # A link-local address names its interface behind a percent sign.
    return ip_address(text.partition("%")[0])


# For what the operator alone sets, as LLMSCOPE_ALERT_WEBHOOK_URL.
ANY_TARGET: Final = TargetPolicy((IPv4Network("0.0.0.0/0"), IPv6Network("::/0")))
