"""What a sender's reports say of its clock (RFC 3550, 6.4.1)."""

from __future__ import annotations

from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtcpSrPacket

from actr_peer.protocol.media.frames import TIMESTAMPS

NTP_TO_UNIX = 2_208_988_800
"""Seconds from 1900 to 1970."""


class SenderClock:
    """When timestamps were, by the last report of one track's sender."""

    def __init__(self) -> None:
        self._source = 0
        self._timestamp = 0
        self._seconds = 0.0

    def report(self, packet: RtcpSrPacket) -> None:
        """Take a report."""
        info = packet.sender_info
        self._source, self._timestamp = packet.ssrc, info.rtp_timestamp
        self._seconds = info.ntp_timestamp / (1 << 32) - NTP_TO_UNIX

    def when(self, source: int, timestamp: int, codec: RTCRtpCodecParameters) -> float | None:
        """Seconds since 1970, by the sender's clock; None: ``source`` has not reported."""
        if source != self._source:
            return None
        ticks = (timestamp - self._timestamp + TIMESTAMPS // 2) % TIMESTAMPS - TIMESTAMPS // 2
        return self._seconds + ticks / codec.clockRate
