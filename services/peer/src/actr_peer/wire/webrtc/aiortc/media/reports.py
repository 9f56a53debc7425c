"""Reports of senders, and what they say of their clocks (RFC 3550, 6.4.1)."""

from __future__ import annotations

import asyncio
import random
from typing import NamedTuple

from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import (
    AnyRtcpPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
)

from actr_peer.protocol.media.capture import CaptureClock
from actr_peer.protocol.media.frames import TIMESTAMPS
from actr_peer.protocol.media.packets import PacketWriter

NTP_TO_UNIX = 2_208_988_800
"""Seconds from 1900 to 1970."""
REPORT_SECONDS = (0.5, 1.5)
"""Between two reports, by chance (RFC 3550, 6.2)."""
CNAME = 1
"""The item of a description that names a source (RFC 3550, 6.5.1)."""


def abs_send_time(seconds: float) -> int:
    """Seconds since 1970 as the header extension has them: 6 bits of seconds, 18 of their parts."""
    return int((seconds + NTP_TO_UNIX) * (1 << 18)) & 0xFFFFFF


class OwnReport(NamedTuple):
    """One report of a sender."""

    packets: list[AnyRtcpPacket]
    middle: int
    """The middle bits of its time, by which the far side names it."""


class OwnReports:
    """What one sender tells of its tracks, one after the other: when their timestamps were."""

    def __init__(self) -> None:
        self._clock: CaptureClock | None = None
        self._timestamp = 0
        self._has_begun = asyncio.Event()

    def begin(self) -> None:
        """Another track follows: nothing is known of it yet."""
        self._clock = None

    def note(self, timestamp: int, at: float, clock_rate: int) -> None:
        """A sample was taken at ``at`` seconds since 1970; the first of a track is told at once."""
        if self._clock is None:
            self._clock = CaptureClock(clock_rate)
            self._has_begun.set()
        self._clock.note(timestamp, at)
        self._timestamp = timestamp

    async def due(self) -> None:
        """Wait until a report is due."""
        try:
            async with asyncio.timeout(random.uniform(*REPORT_SECONDS)):  # noqa: S311  no secret
                await self._has_begun.wait()
        except TimeoutError:
            pass
        self._has_begun.clear()

    def make(self, packets: PacketWriter, cname: str | None) -> OwnReport | None:
        """The report that is due; None while there was no sample.

        Args:
            packets: Those of the sender.
            cname: The name that all tracks of the connection share.
        """
        at = self._clock.when(self._timestamp) if self._clock is not None else None
        if at is None:
            return None
        info = RtcpSenderInfo(
            ntp_timestamp=int((at + NTP_TO_UNIX) * (1 << 32)),
            rtp_timestamp=self._timestamp,
            packet_count=packets.packets & 0xFFFFFFFF,
            octet_count=packets.octets & 0xFFFFFFFF,
        )
        made: list[AnyRtcpPacket] = [RtcpSrPacket(ssrc=packets.ssrc, sender_info=info)]
        if cname is not None:
            source = RtcpSourceInfo(ssrc=packets.ssrc, items=[(CNAME, cname.encode())])
            made.append(RtcpSdesPacket(chunks=[source]))
        return OwnReport(made, (info.ntp_timestamp >> 16) & 0xFFFFFFFF)


class SenderClock:
    """When timestamps were, by the last report of one track's sender."""

    def __init__(self) -> None:
        self._source = 0
        self._timestamp = 0
        self._seconds = 0.0

    def report(self, packet: RtcpSrPacket) -> None:
        """Take a report; one without a time says nothing."""
        info = packet.sender_info
        if not info.ntp_timestamp:
            return
        self._source, self._timestamp = packet.ssrc, info.rtp_timestamp
        self._seconds = info.ntp_timestamp / (1 << 32) - NTP_TO_UNIX

    def when(self, source: int, timestamp: int, codec: RTCRtpCodecParameters) -> float | None:
        """Seconds since 1970, by the sender's clock; None: ``source`` has not reported."""
        if source != self._source:
            return None
        ticks = (timestamp - self._timestamp + TIMESTAMPS // 2) % TIMESTAMPS - TIMESTAMPS // 2
        return self._seconds + ticks / codec.clockRate
