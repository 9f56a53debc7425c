"""aioice's connection with our own addresses, time-outs and errors.

The class of one connection is swapped (:func:`upgrade`): nothing global is patched. What
differs from aioice 0.13:

- 127.0.0.1 is a candidate where the machine has nothing else, or where asked for
- host candidates are there at once; servers that do not answer delay nobody
- why a TURN server gave no candidate is kept, for the error that somebody will read
- a dead path is noticed a few seconds after a packet was not acknowledged, or a check not
  answered, instead of after thirty (RFC 7675)
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from aioice import Candidate, TransportPolicy, ice, stun, turn
from aioice.candidate import candidate_foundation, candidate_priority
from aiortc.rtcicetransport import RTCIceTransport, parse_stun_turn_uri

from actr_peer.protocol.webrtc.negotiation import IceServer
from actr_peer.wire.webrtc.aiortc import dtls, shared
from actr_peer.wire.webrtc.aiortc.consent import ConsentedConnection, ConsentedStun
from actr_peer.wire.webrtc.engine import EngineOptions, PairView

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
MAX_DATAGRAM_BYTES = 1500
MAX_DATAGRAMS = 8192
"""That wait to be read; more are lost, as on the network."""
MAX_REMOTE_CANDIDATES = 64
"""Addresses of the far side over the life of a connection: those of a description, those that are
trickled, and those from which its checks came."""
MAX_HOST_ADDRESSES = 12
"""Below the far side's bound of 16 candidates in a description."""


def host_addresses(
    found: Sequence[str], *, loopback: bool | None, link_local: bool = False
) -> list[str]:
    """Addresses of this machine to be candidates.

    Args:
        found: All that it has, but the loopback; the others are as in ``EngineOptions``.
    """
    addresses = list(found)
    if not link_local:
        addresses = [address for address in addresses if not ip_address(address).is_link_local]
    if loopback or (loopback is None and not addresses):
        addresses.insert(0, LOOPBACK)
    return addresses[:MAX_HOST_ADDRESSES]


def usable_servers(servers: Sequence[IceServer]) -> tuple[IceServer, ...]:
    """``servers`` with those of their URLs that can be read; the others are logged.

    For servers that somebody else names: one's own that cannot be read are an error.
    """
    usable: list[IceServer] = []
    for server in servers:
        urls = tuple(filter(_is_usable, server.urls))
        if urls:
            usable.append(replace(server, urls=urls))
    return tuple(usable)


def _is_usable(url: str) -> bool:
    try:
        parsed = parse_stun_turn_uri(url)
        str(parsed["host"]).encode("idna")
        if not 0 < int(parsed["port"]) < 65536:
            raise ValueError(f"port {parsed['port']}")
    except ValueError as exc:  # IDNA raises a kind of it
        log.warning("ICE server skipped: url=%.200r cause=%s", url, exc)
        return False
    return True


class GuardedStun(ConsentedStun):
    """aioice's, for a port to which anybody can send: what cannot be read is dropped."""

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        try:
            super().datagram_received(data, addr)
        except Exception as exc:  # noqa: BLE001  boundary: of one datagram
            log.debug("malformed datagram: cause=%r", exc)


class IceConnection(ConsentedConnection):
    """One ICE agent; made by :func:`upgrade`, never constructed."""

    def adopt(self, options: EngineOptions) -> None:
        super().adopt(options)
        self.failures: list[str] = []
        """Why servers gave no candidate, in words, newest last."""
        self.addresses: list[str] = []
        if self._transport_policy is TransportPolicy.ALL:
            found = shared.addresses(options.shared, asyncio.get_running_loop().time())
            self.addresses = host_addresses(
                found, loopback=options.loopback, link_local=options.link_local
            )

    @property
    def asks_servers(self) -> bool:
        """Whether candidates may come after the first description."""
        return not self._is_relay_only and bool(self.stun_server or self.turn_server)

    @property
    def _is_relay_only(self) -> bool:
        return self._transport_policy is TransportPolicy.RELAY

    def data_received(self, data: bytes, component: int) -> None:
        """Take a datagram that is no STUN, from whoever sent it, if it can be one of ours:
        what is empty or too long for the layers above would end them."""
        if not 0 < len(data) <= MAX_DATAGRAM_BYTES:
            return
        for part in dtls.records(data) if 20 <= data[0] < 64 else (data,):
            if self._queue.qsize() < MAX_DATAGRAMS:
                super().data_received(part, component)

    async def add_remote_candidate(self, remote_candidate: Candidate | None) -> None:
        """Try one more way, unless there are too many: each new offer may bring others.

        A far side of which none is known has not failed when it says that there are no more: a page
        hides its addresses behind names, and only its own checks can tell them.
        """
        if remote_candidate is None and not self._remote_candidates:
            return
        if remote_candidate is None or len(self._remote_candidates) < MAX_REMOTE_CANDIDATES:
            await super().add_remote_candidate(remote_candidate)

    def check_incoming(
        self, message: stun.Message, addr: tuple[str, int], protocol: ice.StunProtocol
    ) -> None:
        """Take a check of the far side's; one from yet another address is ignored when full."""
        if len(self._remote_candidates) >= MAX_REMOTE_CANDIDATES and not any(
            (known.host, known.port) == addr[:2] for known in self._remote_candidates
        ):
            return
        super().check_incoming(message, addr, protocol)
        if isinstance(protocol, ConsentedStun):
            protocol.was_checked = "USE-CANDIDATE" not in message.attributes

    async def gather_candidates(self) -> None:
        """Gather host candidates; where only relayed ones are allowed, those."""
        if self._local_candidates_start:
            return
        self._local_candidates_start = True
        for address in self.addresses:
            await self._open(address)
        if self._is_relay_only:
            await self._ask_turn(lambda _: None)
        self._local_candidates_end = True

    async def _open(self, address: str) -> None:
        """Make a host candidate of ``address``, if this machine lets a socket bind to it.

        The library's own way loses its sockets when it is cancelled, or closed, meanwhile.
        """
        if self._closing:
            return
        loop = asyncio.get_running_loop()
        try:
            transport, protocol = await loop.create_datagram_endpoint(
                lambda: GuardedStun(self), local_addr=(address, 0)
            )
        except OSError as exc:
            self.failures.append(f"host:{address}: {exc.strerror}")
            return
        if self._closing:
            transport.close()
            return
        self._protocols.append(protocol)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, turn.UDP_SOCKET_BUFFER_SIZE)
        host, port = transport.get_extra_info("sockname")[:2]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=1,
            transport="udp",
            priority=candidate_priority(1, "host"),
            host=host,
            port=port,
            type="host",
        )
        self._local_candidates.append(protocol.local_candidate)

    async def ask_servers(self, found: Callable[[Candidate], None]) -> None:
        """Ask the STUN and TURN servers; ``found`` is called for each candidate as it comes."""
        async with asyncio.TaskGroup() as group:
            if self.stun_server is not None:
                for protocol in tuple(self._protocols):
                    if ":" not in protocol.local_candidate.host:
                        group.create_task(self._ask_stun(protocol, found))
            if self.turn_server is not None:
                group.create_task(self._ask_turn(found))

    async def _ask_stun(
        self, protocol: ice.StunProtocol, found: Callable[[Candidate], None]
    ) -> None:
        assert self.stun_server is not None
        try:
            async with asyncio.timeout(self._options.gather_timeout):
                candidate, _ = await ice.server_reflexive_candidate(protocol, self.stun_server)
        except Exception as exc:  # noqa: BLE001  boundary: a name that is none, an answer that is none
            self._failed("stun", self.stun_server, exc)
            return
        if not self._closing:
            self._local_candidates.append(candidate)
            found(candidate)

    async def _ask_turn(self, found: Callable[[Candidate], None]) -> None:
        if self.turn_server is None:
            self.failures.append("no TURN server is configured")
            return
        try:
            async with asyncio.timeout(self._options.gather_timeout):
                candidate, protocol = await ice.relayed_candidate(
                    component=1,
                    hide_related_address=self._is_relay_only,
                    protocol_factory=lambda: GuardedStun(self),
                    turn_server=self.turn_server,
                    turn_username=self.turn_username,
                    turn_password=self.turn_password,
                    turn_ssl=self.turn_ssl,
                    turn_transport=self.turn_transport,
                )
        except Exception as exc:  # noqa: BLE001  boundary: a name that is none, an answer that is none
            self._failed("turn", self.turn_server, exc)
            return
        if self._closing:
            await protocol.close()
            return
        self._protocols.append(protocol)
        self._local_candidates.append(candidate)
        for remote in self._remote_candidates:
            self._pair_remote_candidate(remote)
        self.sort_check_list()
        found(candidate)

    def _failed(self, scheme: str, server: tuple[str, int], exc: Exception) -> None:
        why = f"no answer within {self._options.gather_timeout:g} s"
        if isinstance(exc, stun.TransactionFailed):
            code, reason = exc.response.attributes.get("ERROR-CODE", (0, "refused"))
            why = f"{code} {reason}"
        elif isinstance(exc, OSError) and not isinstance(exc, TimeoutError):
            why = str(exc)
        elif not isinstance(exc, TimeoutError | stun.TransactionError):
            why = repr(exc)
        failure = f"{scheme}:{server[0]}:{server[1]}: {why}"
        log.info("ICE server gave no candidate: %s", failure)
        shared.failed(self._options.shared, scheme)
        self.failures.append(failure)

    @property
    def is_relayed(self) -> bool:
        """Whether the pair in use goes through a TURN server, on either side."""
        return any(
            "relay" in (pair.local_candidate.type, pair.remote_candidate.type)
            for pair in self._nominated.values()
        )

    def pairs(self) -> tuple[PairView, ...]:
        """The pairs that were found so far, the one in use first."""
        used = set(map(id, self._nominated.values()))
        found = (
            PairView(
                local=(pair.local_candidate.type, *pair.local_addr),
                remote=(pair.remote_candidate.type, *pair.remote_addr),
                state=pair.state.name.lower(),
                is_used=id(pair) in used,
            )
            for pair in self._check_list
        )
        return tuple(sorted(found, key=lambda pair: not pair.is_used))


def upgrade(transport: RTCIceTransport, options: EngineOptions) -> IceConnection:
    """Make the agent of ``transport`` an :class:`IceConnection`; before it gathers."""
    connection = transport.iceGatherer._connection
    connection.__class__ = IceConnection
    assert isinstance(connection, IceConnection)
    connection.adopt(options)
    return connection
