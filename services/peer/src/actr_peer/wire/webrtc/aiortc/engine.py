"""The engine on aiortc: one connection, its four channels and its tracks.

aiortc's private parts that this folder relies on are listed, and watched, by
``test_private.py`` of the tests: a new version that moves one of them fails there first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from aioice import Candidate as IceCandidate
from aiortc import (
    RTCBundlePolicy,
    RTCCertificate,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.rtcicetransport import connection_kwargs
from aiortc.sdp import candidate_from_sdp

from actr_peer.errors import BrokenError, ConfigError, PeerError, RemoteProtocolError
from actr_peer.protocol.payload import TRAFFIC, PayloadType
from actr_peer.protocol.webrtc import descriptions
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.protocol.webrtc.negotiation import Answer, Candidate, Offer
from actr_peer.tasks import Tasks
from actr_peer.wire.base import CHANNELS
from actr_peer.wire.webrtc.aiortc import bounds, dtls, ice, shared
from actr_peer.wire.webrtc.aiortc.media.codecs import takes
from actr_peer.wire.webrtc.aiortc.media.sections import Sections
from actr_peer.wire.webrtc.aiortc.sctp import association
from actr_peer.wire.webrtc.engine import (
    CHANNEL_PROTOCOL,
    TEXT_CHANNEL,
    EngineOptions,
    EngineSink,
    IcePolicy,
)

LIFETIME_MS = 100
"""Of packets on the latency-first channel (docs/decisions/0004-latency-first.md)."""
FREE_TIMEOUT = 2.0
"""For aiortc to free a connection; then it is left to the garbage collector."""
_END_OF_CANDIDATES = "a=end-of-candidates"


@contextmanager
def _from_remote(what: str) -> Iterator[None]:
    """Where the library fails on what the far side sent: it raises nearly anything."""
    try:
        yield
    except PeerError:
        raise
    except ConnectionError as exc:
        raise BrokenError(f"{what}: {exc}") from exc
    except Exception as exc:
        raise RemoteProtocolError(f"{what}: {exc!r}") from exc


@contextmanager
def _from_library(what: str) -> Iterator[None]:
    """Where nothing but the library, or a connection that has gone, can fail."""
    try:
        yield
    except PeerError:
        raise
    except Exception as exc:
        raise BrokenError(f"{what}: {exc!r}") from exc


class _PeerConnection(RTCPeerConnection):
    """Connecting happens in tasks of the library that nobody waits for: their errors end here."""

    def __init__(
        self, configuration: RTCConfiguration, sections: Sections, certificate: RTCCertificate
    ) -> None:
        super().__init__(configuration)
        self._RTCPeerConnection__certificates = [certificate]
        self._sections = sections
        self.failures: list[str] = []

    def _RTCPeerConnection__createTransceiver(  # noqa: N802
        self, *args: Any, **kwargs: Any
    ) -> RTCRtpTransceiver:
        transceiver: RTCRtpTransceiver = super()._RTCPeerConnection__createTransceiver(  # type: ignore[misc]
            *args, **kwargs
        )
        self._sections.adopt(transceiver)
        return transceiver

    async def _RTCPeerConnection__connect(self) -> None:  # noqa: N802
        try:
            await super()._RTCPeerConnection__connect()  # type: ignore[misc]
        except Exception as exc:  # noqa: BLE001 - whatever it is, the connect time-out acts on it
            if self.connectionState != "connected":
                self.failures = [repr(exc)]


def configuration(options: EngineOptions) -> RTCConfiguration:
    """aiortc's form of ``options``.

    Raises:
        ConfigError: If the URL of a server cannot be used.
    """
    servers = [
        RTCIceServer(list(server.urls), server.username or None, server.credential or None)
        for server in options.ice_servers
    ]
    policy = RTCIceTransportPolicy.ALL
    if options.ice_policy is IcePolicy.RELAY:
        policy = RTCIceTransportPolicy.RELAY
    try:
        connection_kwargs(servers)  # reads the URLs, as each connection will
    except ValueError as exc:
        urls = ", ".join(url for server in options.ice_servers for url in server.urls)
        raise ConfigError(
            f"ICE servers {urls}: {exc}; write stun:host:port or turn:host:port?transport=udp"
        ) from exc
    # Media shares the data's transport from the start: with BALANCED, adding a track makes a
    # second ICE agent, gathers again, and throws it away.
    return RTCConfiguration(
        iceServers=servers, iceTransportPolicy=policy, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE
    )


class AiortcEngine:
    """One ``RTCPeerConnection`` with its four channels: an ``Engine`` of ``webrtc/engine.py``."""

    def __init__(self, options: EngineOptions, sink: EngineSink, tasks: Tasks) -> None:
        self._sink: EngineSink | None = sink
        self._tasks = tasks
        self.media = Sections(options.media_bytes_per_second)
        now = asyncio.get_running_loop().time()
        certificate = shared.certificate(options.shared, now)
        self._pc = _PeerConnection(configuration(options), self.media, certificate)
        self.media.attach(self._pc)
        self._channels: list[RTCDataChannel] = [self._create_channel(0)]
        assert self._pc.sctp is not None
        self._sctp = association.upgrade(self._pc.sctp, options, self)
        # Whatever section stands for the bundle, the transport is this one: else aiortc stops it
        # where media comes before data in the first offer, as in every browser's.
        self._sctp._bundled = True
        dtls.upgrade(self._sctp.transport)
        self._ice = ice.upgrade(self._sctp.transport.transport, options)
        self._channels += [self._create_channel(channel) for channel in range(1, CHANNELS)]
        self._options = options
        self._offer: RTCSessionDescription | None = None
        self._is_described = False
        self._remote_ended = False
        self._asked = asyncio.Event()
        self._asking: asyncio.Task[Any] | None = None
        self._pc.on("connectionstatechange", self._state_changed)

    def _create_channel(self, channel: int) -> RTCDataChannel:
        payload_type = PayloadType(channel)
        is_ordered = TRAFFIC[payload_type].is_ordered
        return self._pc.createDataChannel(
            payload_type.name,
            protocol=CHANNEL_PROTOCOL,
            negotiated=True,
            id=channel,
            ordered=is_ordered,
            maxPacketLifeTime=None if is_ordered else LIFETIME_MS,
        )

    # what it is

    @property
    def max_message_bytes(self) -> int:
        return min(
            self._sctp._remote_max_message_size or bounds.MAX_MESSAGE_BYTES,
            bounds.MAX_MESSAGE_BYTES,
        )

    @property
    def buffered_bytes(self) -> int:
        return self._sctp.buffered_bytes

    @property
    def is_full(self) -> bool:
        return self._sctp.is_full

    @property
    def is_relayed(self) -> bool:
        return self._ice.is_relayed

    @property
    def address_rule(self) -> AddressRule:
        rule, options = self._options.rule, self._options
        is_local = options.loopback is True or ice.LOOPBACK in self._ice.addresses
        return AddressRule(
            allow_loopback=rule.allow_loopback or is_local,
            allow_link_local=rule.allow_link_local or options.link_local,
            allow_private=rule.allow_private,
        )

    def view(self) -> Mapping[str, Any]:
        return {
            "rtt": self._sctp._srtt,
            "window_bytes": self._sctp._cwnd,
            "in_flight_bytes": self._sctp._flight_size,
            "stale": self._sctp.stale,
            "failures": (*self._ice.failures, *self._pc.failures),
            "pairs": self._ice.pairs(),
        }

    # descriptions and candidates

    async def offer(self) -> Offer:
        with _from_library("making an offer"):
            self.media.offer()
            offer = await self._pc.createOffer()
            self._offer = offer
            if self._is_described:
                # Applied with its answer: until then it can be made again (no rollback in aiortc).
                return Offer(lean(offer.sdp), self.media.sent(offer.sdp))
            await self._pc.setLocalDescription(offer)
        self._offer = None
        return Offer(self._described(), self.media.sent(offer.sdp))

    async def answer(self, offer: Offer) -> Answer:
        offered = descriptions.offered(offer.sdp, takes)
        described = descriptions.parse(offered.shown)
        with _from_library("making room for an offer"):
            await self.media.recycle(described.sections)
        with _from_remote("applying an offer"):
            await self._pc.setRemoteDescription(RTCSessionDescription(offered.shown, "offer"))
        with _from_library("making an answer"):
            self.media.answer()
            self.media.received({**described.msids(), **offer.track_ids})
            await self._pc.setLocalDescription()
        self.media.settled()
        sdp = self._pc.localDescription.sdp
        tracks = self.media.sent(sdp)
        sdp = lean(sdp) if self._is_described else self._described()
        return Answer(descriptions.refusing(sdp, offered), tracks)

    async def accept(self, answer: Answer) -> None:
        offer, self._offer = self._offer, None
        if offer is not None:
            with _from_library("applying an offer of our own"):
                await self._pc.setLocalDescription(offer)
        shown = descriptions.answered(
            answer.sdp, self._pc.localDescription.sdp, self.media.takes_answer
        )
        described = descriptions.parse(shown)
        with _from_remote("applying an answer"), self.media.idle(described.sections):
            await self._pc.setRemoteDescription(RTCSessionDescription(shown, "answer"))
        self.media.received({**described.msids(), **answer.track_ids})
        self.media.agreed()
        self.media.settled()

    def _described(self) -> str:
        """The first description, with what is known now; the rest is asked for."""
        self._is_described = True
        if not self._ice.local_candidates:
            wanted = "relayed " if self._options.ice_policy is IcePolicy.RELAY else ""
            why = "; ".join(self._ice.failures) or "no address that may be used"
            raise BrokenError(f"no {wanted}ICE candidate: {why}")
        sdp: str = self._pc.localDescription.sdp
        if not self._ice.asks_servers:
            self._asked.set()
            return sdp
        self._tasks.start("gather", self._ask_servers(), failed=lambda exc: self._asked_all())
        return "".join(
            line for line in sdp.splitlines(keepends=True) if _END_OF_CANDIDATES not in line
        )

    async def _ask_servers(self) -> None:
        self._asking = asyncio.current_task()
        await self._ice.ask_servers(self._found)
        self._asked_all()
        if self._remote_ended:
            await self._end_of_candidates()

    def _asked_all(self) -> None:
        self._asking = None
        if self._sink is not None and not self._asked.is_set():
            self._sink.candidate(Candidate(""))
        self._asked.set()

    def _found(self, candidate: IceCandidate) -> None:
        if self._sink is not None:
            self._sink.candidate(Candidate(candidate.to_sdp(), self._sctp.mid or "0", 0))

    async def add_candidate(self, candidate: Candidate) -> None:
        if not candidate.candidate:
            # ICE fails when all pairs have failed after this; ours may still be on their way.
            self._remote_ended = True
            if self._asked.is_set():
                await self._end_of_candidates()
            return
        with _from_remote("adding a candidate"):
            parsed = candidate_from_sdp(candidate.candidate)
            parsed.sdpMid = candidate.sdp_mid
            parsed.sdpMLineIndex = candidate.sdp_m_line_index
            await self._sctp.transport.transport.addRemoteCandidate(parsed)

    async def _end_of_candidates(self) -> None:
        with _from_library("ending the candidates"):
            await self._sctp.transport.transport.addRemoteCandidate(None)

    # data

    def send(self, channel: int, data: bytes) -> None:
        self._sctp.send(self._channels[channel], data)

    def send_text(self, data: bytes) -> None:
        self._sctp.send_text(self._channels[TEXT_CHANNEL], data)

    def text(self, data: bytes) -> None:
        if self._sink is not None:
            self._sink.text(data)

    def opened(self) -> None:
        if self._sink is not None:
            self._sink.opened()

    def message(self, channel: int, data: bytes) -> None:
        if self._sink is not None:
            self._sink.message(channel, data)

    def writable(self) -> None:
        if self._sink is not None:
            self._sink.writable()

    def overdue(self) -> None:
        self._ice.doubt()

    def channels_closed(self, channels: frozenset[int]) -> None:
        """Open them again, alone: aiortc lets an id be used again at once."""
        for channel in channels:
            self._channels[channel] = self._create_channel(channel)
            self._sctp.reopened(self._channels[channel])

    # the end

    def closed(self, error: PeerError | None) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.lost(error)

    def _state_changed(self) -> None:
        state = self._pc.connectionState
        if state == "failed":
            self.closed(BrokenError("; ".join(("ICE or DTLS failed", *self._ice.failures))))
        elif state == "closed":
            self.closed(BrokenError("the path to the far side is gone"))

    async def close(self, flush_timeout: float) -> None:
        self._sink = None
        try:
            if flush_timeout and self._sctp.is_established:
                async with asyncio.timeout(flush_timeout):
                    await self._sctp.drained()
                    await self._sctp.close_channels()
        except TimeoutError:
            pass  # what is left is lost, as the caller agreed
        finally:
            await self._free()

    async def _free(self) -> None:
        self.media.pace.end()
        if self._asking is not None:
            self._asking.cancel()  # its timers would send on closed sockets
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(FREE_TIMEOUT):
                await self._pc.close()


def lean(sdp: str) -> str:
    """``sdp`` without candidates: in a new exchange on a connection both sides know them."""
    return "".join(
        line
        for line in sdp.splitlines(keepends=True)
        if not line.startswith(("a=candidate:", _END_OF_CANDIDATES))
    )
