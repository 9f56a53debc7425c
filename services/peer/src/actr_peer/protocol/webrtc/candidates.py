"""Sans-I/O: which ways to reach this peer's far side are tried, and how many are kept.

A candidate makes this process send packets to an address that the far side chose. So their
number is bounded, and addresses that only this machine or its cloud can mean are refused: the
loopback, link-local ones, multicast, and the metadata services of clouds, in every form in which
IPv6 can write them. The same rule holds for the WebSocket address that an actor registers.

Grammar: RFC 8839, section 5.1. Names ending in ``.local`` (RFC 8828, mDNS) are dropped: they
cost a second of multicast and connect by a peer-reflexive candidate anyway.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Generic, TypeVar

from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.webrtc.negotiation import Candidate

MAX_EARLY = 256
"""Candidates that wait for a connection or a description, over all connections."""
MAX_PER_DESCRIPTION = 16
MAX_TRICKLED = 32
MAX_CANDIDATE_CHARACTERS = 512
MAX_SDP_CHARACTERS = 48 * 1024
"""What signaling carries: its messages have 64 KiB, and track ids go beside it."""
MAX_SECTIONS = 40
"""Data, and sixteen tracks each way."""

# Clouds answer these with secrets, to whoever asks from the machine itself.
_METADATA = frozenset(
    ip_address(text)
    for text in ("169.254.169.254", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)

_PRIVATE = tuple(
    ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
# "This network", the reserved block with the broadcast address, site-local and local NAT64.
_NOBODY = tuple(
    ip_network(text) for text in ("0.0.0.0/8", "240.0.0.0/4", "fec0::/10", "64:ff9b:1::/48")
)
_NAT64 = ip_network("64:ff9b::/96")

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRule:
    """Which addresses of the far side are tried, of candidates and of WebSocket listeners."""

    allow_loopback: bool = False
    """For two peers on one machine that has no other interface."""
    allow_link_local: bool = False
    allow_private: bool = True
    """RFC 1918, RFC 6598 and RFC 4193: containers and local networks."""

    def admits(self, host: str) -> bool:
        """Whether ``host`` is an address in numbers that may be tried."""
        try:
            address = ip_address(host)
        except ValueError:
            return False
        if isinstance(address, IPv4Address):
            return self._admits(address)
        bare = IPv6Address(int(address))  # a zone does not make it another address
        if any(not self._admits(inner) for inner in _embedded(bare)):
            return False
        return bare.ipv4_mapped is not None or self._admits(bare)

    def _admits(self, address: IPv4Address | IPv6Address) -> bool:
        if address in _METADATA or address.is_multicast or address.is_unspecified:
            return False
        if address.is_loopback:
            return self.allow_loopback
        if address.is_link_local:
            return self.allow_link_local
        if any(address in network for network in _NOBODY if network.version == address.version):
            return False
        if any(address in network for network in _PRIVATE if network.version == address.version):
            return self.allow_private
        return True


DEFAULT_RULE = AddressRule()


def _embedded(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses to which a gateway on the way would send what is for ``address``."""
    number = int(address)
    last = IPv4Address(number & 0xFFFF_FFFF)
    found = [inner for inner in (address.ipv4_mapped, address.sixtofour) if inner is not None]
    found += address.teredo or ()
    if address in _NAT64 or (number >> 32 == 0 and number > 1):  # RFC 6052; RFC 4291, 2.5.5.1
        found.append(last)
    return found


def admits(rule: AddressRule, candidate: str) -> bool:
    """Whether the far side's ``candidate`` may be tried; one we refuse is no violation.

    Raises:
        RemoteProtocolError: If it is not a candidate at all.
    """
    if len(candidate) > MAX_CANDIDATE_CHARACTERS:
        raise RemoteProtocolError(f"candidate of {len(candidate)} characters")
    # foundation component transport priority host port "typ" type …
    parts = candidate.split()
    if len(parts) < 8 or parts[6] != "typ":
        raise RemoteProtocolError(f"not a candidate: {candidate[:80]!r}")
    component, priority, port = parts[1], parts[3], parts[5]
    if not (component.isdecimal() and priority.isdecimal() and port.isdecimal()):
        raise RemoteProtocolError(f"not a candidate: {candidate[:80]!r}")
    return component == "1" and 0 < int(port) < 65536 and rule.admits(parts[4])


def clean(rule: AddressRule, sdp: str) -> str:
    """Return the far side's ``sdp`` without the candidates that may not be tried.

    Raises:
        LimitError: If it is longer, or names more candidates or sections, than we take.
        RemoteProtocolError: If a candidate in it cannot be read.
    """
    if len(sdp) > MAX_SDP_CHARACTERS:
        raise LimitError("characters of SDP", limit=MAX_SDP_CHARACTERS, asked=len(sdp))
    lines = sdp.splitlines()
    sections = sum(line.startswith("m=") for line in lines)
    if sections > MAX_SECTIONS:
        raise LimitError("media sections", limit=MAX_SECTIONS, asked=sections)
    # Each section may name those of its own transport, of which one is used in the end.
    named: set[str] = set()
    here: set[str] = set()
    for line in lines:
        if line.startswith("m="):
            here.clear()
        elif line.startswith("a=candidate:"):
            named.add(line)
            here.add(line)
            if len(here) > MAX_PER_DESCRIPTION:
                raise LimitError(
                    "candidates in a section", limit=MAX_PER_DESCRIPTION, asked=len(here)
                )
    refused = {line for line in named if not admits(rule, line.removeprefix("a=candidate:"))}
    return "".join(f"{line}\r\n" for line in lines if line not in refused)


class CandidateInbox:
    """The far side's candidates of one connection: counted, sifted, kept until described.

    A candidate can overtake the description that it belongs to; it waits here.
    """

    def __init__(self, rule: AddressRule) -> None:
        self.rule = rule
        self.refused = 0
        self._taken = 0
        self._waiting: list[Candidate] | None = []

    def receive(self, candidate: Candidate) -> list[Candidate]:
        """Take one; return those to be tried now, in order.

        Raises:
            LimitError: If the far side trickles more than ``MAX_TRICKLED``.
            RemoteProtocolError: If it cannot be read.
        """
        self._taken += 1
        if self._taken > MAX_TRICKLED + 1:  # and one that says "no more"
            raise LimitError("trickled candidates", limit=MAX_TRICKLED, asked=self._taken)
        if candidate.candidate and not admits(self.rule, candidate.candidate):
            self.refused += 1
            return []
        if self._waiting is None:
            return [candidate]
        self._waiting.append(candidate)
        return []

    def described(self) -> list[Candidate]:
        """The first description is applied: return those that waited for it."""
        waiting, self._waiting = self._waiting or [], None
        return waiting


class EarlyCandidates(Generic[Key]):
    """Candidates of connections not known yet; the oldest connection's go when it is full."""

    def __init__(self, *, limit: int = MAX_EARLY) -> None:
        self.limit = limit
        self.dropped = 0
        self._count = 0
        self._waiting: OrderedDict[Key, list[Candidate]] = OrderedDict()

    def __len__(self) -> int:
        return self._count

    def keep(self, key: Key, candidate: Candidate) -> None:
        """Keep ``candidate`` until ``key`` is taken; more than one connection sends is dropped."""
        waiting = self._waiting.setdefault(key, [])
        if len(waiting) > MAX_TRICKLED:
            self.dropped += 1
            return
        waiting.append(candidate)
        self._count += 1
        while self._count > self.limit:
            _, lost = self._waiting.popitem(last=False)
            self._count -= len(lost)
            self.dropped += len(lost)

    def take(self, key: Key) -> list[Candidate]:
        """Return those of ``key``, in order of arrival, and forget them."""
        waiting = self._waiting.pop(key, [])
        self._count -= len(waiting)
        return waiting
