"""aiortc's RTP sender for frames that are encoded already.

The class of a transceiver's sender is swapped at its birth. What differs from aiortc 1.16:

- samples go out as they are, with their own timestamps
- a frame may have any number of packets: they leave at the pace of the connection, which all its
  tracks share, many in one system call, and all of a large frame can be asked for again
- reports say when a timestamp was taken, and the first comes with the first frame
- key-frame requests and bandwidth estimates reach the source

Source: RFC 3550 (RTP), RFC 4585 (feedback), RFC 7741 (VP8), RFC 6184 (H264), RFC 7587 (Opus).
"""

from __future__ import annotations

import asyncio
import random
import secrets
import struct
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
from aiortc import RTCRtpSender
from aiortc.codecs import get_encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    AnyRtcpPacket,
    HeaderExtensions,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    unpack_remb_fci,
)

from actr_peer.protocol.media.frames import Sample
from actr_peer.protocol.media.packets import PacketWriter, repeating
from actr_peer.wire.webrtc.aiortc.dtls import GuardedDtls
from actr_peer.wire.webrtc.aiortc.media.pace import Pace
from actr_peer.wire.webrtc.aiortc.media.reports import OwnReports, abs_send_time

MAX_REPEATED = 512
"""Packets that one message may ask for; ours asks for 64."""
KEYFRAME_PAUSE = 0.05
"""Seconds between two requests that reach the source; those between are one, at its end."""
READY_TIMEOUT = 0.5
"""Seconds for which a track waits until the far side says that it listens; ours always does."""
PROBE_DELAY = 0.06
SOUND_RATE = 1_000_000
"""Bytes a second of one track of sound, above what any codec makes: it may come in a burst."""

_S = "_RTCRtpSender__"


class EncodedSender(RTCRtpSender):
    """Sends samples of one track at a time; made by :func:`adopt`, never constructed."""

    def adopt(self, pace: Pace) -> None:
        self._pace = pace
        self._sound = Pace(SOUND_RATE)
        self._make_keyframe: Callable[[], None] | None = None
        self._estimated: Callable[[float], None] | None = None
        self._keyframe_asked_at = -KEYFRAME_PAUSE
        self._keyframe: asyncio.TimerHandle | None = None
        self._is_up = asyncio.Event()
        self._is_wanted = asyncio.Event()
        self._packets = PacketWriter(self._ssrc, sequence=random.getrandbits(15))
        self._reports = OwnReports()
        self._probe: asyncio.TimerHandle | None = None
        self._packer: Any = None
        self._codec: RTCRtpCodecParameters | None = None
        self._rtx_payload_type: int | None = None
        self._rtx_sequence = random.getrandbits(15)

    def begin(self, track_id: str) -> None:
        """Be the sender of another track from now on, with a synchronization source of its own."""
        if self._packer is not None:
            router = self.transport._rtp_router
            router.unregister_sender(self)
            self._ssrc = secrets.randbits(32)
            self._rtx_ssrc = secrets.randbits(32)
            router.register_sender(self, ssrc=self._ssrc)
        self._packets = PacketWriter(self._ssrc, sequence=random.getrandbits(15))
        self._reports.begin()
        self._track_id = track_id
        self._is_wanted.clear()

    def rest(self) -> None:
        """The track is over: nothing of it is sent again."""
        self._packets.forget()

    def go(self) -> None:
        """The far side is known to listen."""
        self._is_wanted.set()

    async def ready(
        self,
        codecs: list[RTCRtpCodecParameters],
        make_keyframe: Callable[[], None],
        estimated: Callable[[float], None],
    ) -> None:
        """Wait until packets arrive somewhere.

        Args:
            codecs: That of the track, and the one for repeating its packets if there is one.
            make_keyframe: Called when the far side asks for a key frame of the track.
            estimated: Called with the bits a second that the far side thinks the path carries.
        """
        self._make_keyframe = make_keyframe
        self._estimated = estimated
        codec, *repeating = codecs
        self._codec = codec
        self._rtx_payload_type = repeating[0].payloadType if repeating else None
        self._packer = get_encoder(codec)
        self._packets.payload_type = codec.payloadType or 0
        await self._is_up.wait()
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                await self._is_wanted.wait()
        except TimeoutError:
            pass  # a far side that is not ours says nothing before the first packet

    async def transmit(self, sample: Sample) -> None:
        """Send one frame, at the pace of the connection.

        Raises:
            ConnectionError: If the connection is gone.
        """
        assert self._codec is not None
        packet = av.Packet(sample.data)
        packet.pts = sample.timestamp
        packet.time_base = Fraction(1, self._codec.clockRate)
        payloads, _ = self._packer.pack(packet)
        timestamp = sample.timestamp & 0xFFFFFFFF
        self._reports.note(timestamp, sample.captured_at or time.time(), self._codec.clockRate)
        if self.kind == "audio":
            await self._send_sound(payloads, timestamp)
        else:
            await self._send_picture(payloads, timestamp, len(sample.data))
            self._probe_later()

    async def _send_picture(self, payloads: list[bytes], timestamp: int, size: int) -> None:
        """Packets that the budget allows leave together."""
        pace, write, last = self._pace, self._packets.write, len(payloads) - 1
        deadline = pace.deadline(size)
        await pace.begin(deadline)
        self._stamp()
        ready: list[bytes] = []
        for index, payload in enumerate(payloads):
            data = write(payload, timestamp, is_last=index == last)
            ready.append(data)
            if pace.charge(len(data)):
                self._transport.send_packets(ready)
                ready = []
                await pace.turn(deadline)
                self._stamp()
        if ready:
            self._transport.send_packets(ready)

    async def _send_sound(self, payloads: list[bytes], timestamp: int) -> None:
        """Sound waits for no picture; only for sound itself, where too much comes at once."""
        self._stamp()
        for index, payload in enumerate(payloads):
            data = self._packets.write(payload, timestamp, is_last=index == len(payloads) - 1)
            self._transport.send_packets((data,))
            self._pace.charge(len(data))
            if self._sound.charge(len(data)):
                await self._sound.turn(0.0)
                self._stamp()

    @property
    def _transport(self) -> GuardedDtls:
        assert isinstance(self.transport, GuardedDtls)
        return self.transport

    def _stamp(self) -> None:
        """Put the time and the section's name into the packets that follow."""
        known = self.__dict__[_S + "rtp_header_extensions_map"]
        values = HeaderExtensions(
            abs_send_time=abs_send_time(time.time()), mid=self.__dict__[_S + "mid"]
        )
        self._packets.extend(*known.set(values))

    def _probe_later(self) -> None:
        """If nothing follows, send the last packet once more: it shows that others were lost."""
        if self._probe is not None:
            self._probe.cancel()
        self._probe = asyncio.get_running_loop().call_later(
            PROBE_DELAY, self._pace.repeat, self, self._packets.last
        )

    def repeat(self, sequence: int) -> int:
        """Send a packet again, as one of the repeating source (RFC 4588): with its old number the
        far side's SRTP would refuse it, once a thousand others have passed (RFC 3711, 3.3.2)."""
        packet = self._packets.find(sequence)
        if packet is None:
            return 0
        if self._rtx_payload_type is not None:
            kind, number, source = self._rtx_payload_type, self._rtx_sequence, self._rtx_ssrc
            packet = repeating(packet, kind, sequence=number, ssrc=source)
            self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
        try:
            self._transport.send_packets((packet,))
        except ConnectionError:
            return 0  # it is gone, and says so elsewhere
        return len(packet)

    async def stop(self) -> None:
        """aiortc's; nothing is sent any longer."""
        for timer in (self._probe, self._keyframe):
            if timer is not None:
                timer.cancel()
        await super().stop()

    # What aiortc calls

    async def _run_rtp(self, codec: RTCRtpCodecParameters) -> None:
        """aiortc's task for frames: here they come from elsewhere, so it only lives."""
        self.__dict__[_S + "rtp_started"].set()
        self._is_up.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.__dict__[_S + "rtp_exited"].set()

    async def _run_rtcp(self) -> None:
        """aiortc's task for reports: none goes out before there is something to tell."""
        self.__dict__[_S + "rtcp_started"].set()
        try:
            while True:
                await self._reports.due()
                await self._report()
        except asyncio.CancelledError:
            pass
        await self._send_rtcp([RtcpByePacket(sources=[self._ssrc])])
        self.__dict__[_S + "rtcp_exited"].set()

    async def _report(self) -> None:
        made = self._reports.make(self._packets, self.__dict__[_S + "cname"])
        if made is not None:
            # The round trip is told by when the far side's own report names this one.
            self.__dict__[_S + "lsr"], self.__dict__[_S + "lsr_time"] = made.middle, time.time()
            self.__dict__[_S + "packet_count"] = self._packets.packets
            await self._send_rtcp(made.packets)

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpPsfbPacket | RtcpRtpfbPacket):
            self._is_wanted.set()
        if isinstance(packet, RtcpRtpfbPacket):
            self._pace.lost()
            del packet.lost[MAX_REPEATED:]
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            self._take_estimate(packet.fci)
        await super()._handle_rtcp_packet(packet)

    def _take_estimate(self, fci: bytes) -> None:
        try:
            bits, sources = unpack_remb_fci(fci)
        except (ValueError, struct.error):
            return
        if self._ssrc in sources and self._estimated is not None:
            self._pace.budget.estimated(bits / 8)
            self._estimated(float(bits))

    async def _retransmit(self, sequence_number: int) -> None:
        if self._packets.find(sequence_number) is not None:
            self._pace.repeat(self, sequence_number)

    def _send_keyframe(self) -> None:
        if self._keyframe is not None:
            return
        early = self._keyframe_asked_at + KEYFRAME_PAUSE - time.monotonic()
        if early <= 0:
            self._ask_source()
        else:
            self._keyframe = asyncio.get_running_loop().call_later(early, self._ask_source)

    def _ask_source(self) -> None:
        self._keyframe = None
        self._keyframe_asked_at = time.monotonic()
        if self._make_keyframe is not None:
            self._make_keyframe()

    # What is known

    @property
    def packets(self) -> int:
        return self._packets.packets

    @property
    def rtt(self) -> float | None:
        return self.__dict__[_S + "rtt"]  # type: ignore[no-any-return]

    def reported(self) -> tuple[int, int]:
        """Packets lost and jitter in ticks, as the far side says."""
        report = self.__dict__[_S + "stats"].get(f"remote-inbound-rtp_{id(self)}")
        return (report.packetsLost, report.jitter) if report is not None else (0, 0)
