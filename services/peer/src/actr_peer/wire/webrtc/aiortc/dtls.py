"""aiortc's DTLS transport, made fit for strangers: what makes no sense is dropped and counted.

An exception in its task would end the transport, and nobody waits for that task. The class of one
connection's transport is swapped (:func:`upgrade`). What differs from aiortc 1.16:

- an RTP or RTCP packet that cannot be read costs that packet
- a packet of an unknown source goes to the section that it names (RFC 9143, 9.2)
- a datagram may hold several records
- packets of media that leave at the same time are sent together
- synchronization sources have a bound: SRTP keeps a state for each
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final

from aiortc.rtcdtlstransport import RTCDtlsTransport, RtpReceiver, RtpRouter, State
from aiortc.rtcrtpparameters import RTCRtpParameters
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap, RtpPacket

from actr_peer.wire.webrtc.aiortc import datagrams

MAX_SOURCES = 128
"""Of one connection, each way of the far side's; the one not heard for longest goes."""

_D: Final = "_RTCDtlsTransport__"

log = logging.getLogger(__name__)


def records(datagram: bytes) -> list[bytes]:
    """The DTLS records of ``datagram`` (RFC 9147, 4; RFC 6347, 4.1), which may hold several.

    aiortc reads one for each that it is given: the others would wait, in a buffer without bound.
    What is cut off comes last, as it is.
    """
    found: list[bytes] = []
    start, end = 0, len(datagram)
    while start < end:
        first = datagram[start]
        if 32 <= first < 64:  # the short header: two numbers whose form is told by bits
            at = start + (3 if first & 8 else 2)
            head = at + 2 if first & 4 else end
        else:
            at, head = start + 11, start + 13
        length = int.from_bytes(datagram[at : at + 2], "big") if head < end else end
        stop = min(head + length, end)
        found.append(datagram[start:stop])
        start = stop
    return found


class Router(RtpRouter):
    def route_rtp(self, packet: RtpPacket) -> RtpReceiver | None:
        receiver = super().route_rtp(packet)
        if receiver is None and packet.ssrc not in self.ssrc_table:
            named = self.mid_table.get(packet.extensions.mid)
            if named is not None and named in self.payload_type_table.get(packet.payload_type, ()):
                receiver = self.ssrc_table[packet.ssrc] = named
        return receiver


class KnownExtensions(HeaderExtensionsMap):
    """Packets that were sent together have the same extensions: they are read once."""

    def adopt(self) -> None:
        self._last: tuple[int, bytes] | None = None
        self._values = HeaderExtensions()

    def configure(self, parameters: RTCRtpParameters) -> None:
        super().configure(parameters)
        self._last = None

    def get(self, extension_profile: int, extension_value: bytes) -> HeaderExtensions:
        """What a packet has; shared by packets, so nobody changes it."""
        if (extension_profile, extension_value) != self._last:
            self._values = super().get(extension_profile, extension_value)
            self._last = (extension_profile, extension_value)
        return self._values


class BoundedSrtp:
    """An inbound SRTP session that forgets sources."""

    def __init__(self, session: Any, router: RtpRouter) -> None:
        self._session = session
        self._router = router
        self.sources: OrderedDict[int, None] = OrderedDict()
        self._newest: int | None = None

    def unprotect(self, packet: bytes) -> bytes:
        plain: bytes = self._session.unprotect(packet)
        self._heard(int.from_bytes(plain[8:12], "big"))
        return plain

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        plain: bytes = self._session.unprotect_rtcp(packet)
        self._heard(int.from_bytes(plain[4:8], "big"))
        return plain

    def _heard(self, source: int) -> None:
        if source == self._newest:
            return
        self._newest = source
        self.sources[source] = None
        self.sources.move_to_end(source)
        if len(self.sources) > MAX_SOURCES:
            oldest, _ = self.sources.popitem(last=False)
            self._router.ssrc_table.pop(oldest, None)
            self._session.remove_stream(oldest)


class GuardedDtls(RTCDtlsTransport):
    """One transport; made by :func:`upgrade`, never constructed."""

    def adopt(self) -> None:
        self.malformed = 0
        """Packets of media that could not be read."""
        self._sends_together = datagrams.is_here
        self._rtp_router.__class__ = Router
        known: Any = self._rtp_header_extensions_map
        known.__class__ = KnownExtensions
        known.adopt()

    def send_packets(self, packets: Sequence[bytes]) -> None:
        """Encrypt RTP packets, and send them at once, with as few system calls as can be.

        Raises:
            ConnectionError: If the connection is gone.
        """
        if self._state != State.CONNECTED:
            raise ConnectionError("Cannot send encrypted RTP, not connected")
        pair = self.transport._connection._nominated.get(1)
        if pair is None:
            raise ConnectionError("Cannot send encrypted RTP, there is no path")
        path, address = pair.protocol.transport, pair.remote_addr
        protected = [self._tx_srtp.protect(packet) for packet in packets]
        if self._sends_together and len(protected) > 1:
            self._sends_together = datagrams.send_together(path, protected, address)
        else:
            for packet in protected:
                path.sendto(packet, address)
        self.__dict__[_D + "tx_bytes"] += sum(map(len, protected))
        self.__dict__[_D + "tx_packets"] += len(protected)

    def _setup_srtp(self) -> None:
        super()._setup_srtp()
        if self._rx_srtp is not None:
            self._rx_srtp: Any = BoundedSrtp(self._rx_srtp, self._rtp_router)

    async def _handle_rtcp_data(self, data: bytes) -> None:
        try:
            await super()._handle_rtcp_data(data)
        except ConnectionError:
            raise
        except Exception as exc:  # noqa: BLE001  boundary: of one packet
            self._dropped("RTCP", exc)

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        try:
            await super()._handle_rtp_data(data, arrival_time_ms)
        except ConnectionError:
            raise
        except Exception as exc:  # noqa: BLE001  boundary: of one packet
            self._dropped("RTP", exc)

    def _dropped(self, kind: str, exc: Exception) -> None:
        self.malformed += 1
        log.debug("malformed %s packet: cause=%r", kind, exc)


def upgrade(transport: RTCDtlsTransport) -> GuardedDtls:
    """Make ``transport`` a :class:`GuardedDtls`; before it starts."""
    transport.__class__ = GuardedDtls
    assert isinstance(transport, GuardedDtls)
    transport.adopt()
    return transport
