"""aiortc's RTP sender for frames that are encoded already.

The class of a transceiver's sender is swapped at its birth. What differs from aiortc 1.16:

- samples go out as they are, with their own timestamps
- a frame may have any number of packets: they leave at the pace of the connection, which all its
  tracks share, and all of a large frame can be asked for again
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
from aiortc import RTCRtpSender, clock
from aiortc.codecs import get_encoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtpPacket,
    unpack_remb_fci,
    wrap_rtx,
)

from actr_peer.protocol.media.frames import Sample
from actr_peer.wire.webrtc.aiortc.media.pace import Pace
from actr_peer.wire.webrtc.aiortc.steps import run_now

HISTORY_PACKETS = 4096
"""Sent packets kept for requests: a frame of 1 MB has 870."""
MAX_REPEATED = 512
"""Packets that one message may ask for; ours asks for 64."""
KEYFRAME_PAUSE = 0.05
"""Seconds between two requests that reach the source; those between are one, at its end."""
READY_TIMEOUT = 0.5
"""Seconds for which a track waits until the far side says that it listens; ours always does."""
PROBE_DELAY = 0.06
SOUND_RATE = 1_000_000
"""Bytes a second of one track of sound, above what any codec makes: it may come in a burst."""
PACKETS_BETWEEN_CLOCKS = 16

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
        self._history: dict[int, RtpPacket] = {}
        self._sequence = random.getrandbits(15)
        self._probe: asyncio.TimerHandle | None = None
        self._packer: Any = None
        self._codec: RTCRtpCodecParameters | None = None
        self._rtx_payload_type: int | None = None
        self._rtx_sequence = random.getrandbits(15)
        self._clock_count = 0
        self._send_time = 0

    def begin(self, track_id: str) -> None:
        """Be the sender of another track from now on, with a synchronization source of its own."""
        if self._packer is not None:
            router = self.transport._rtp_router
            router.unregister_sender(self)
            self._ssrc = secrets.randbits(32)
            self._rtx_ssrc = secrets.randbits(32)
            router.register_sender(self, ssrc=self._ssrc)
        self._track_id = track_id
        self._is_wanted.clear()
        self._history.clear()

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
        payloads, timestamp = self._packer.pack(packet)
        if self.kind == "audio":
            await self._send_sound(payloads, timestamp)
            return
        deadline = self._pace.deadline(len(sample.data))
        if await self._pace.begin(deadline):
            self._clock_count = 0
        for index, payload in enumerate(payloads):
            data = self._pack(payload, timestamp, is_last=index == len(payloads) - 1)
            await self.transport._send_rtp(data)
            if await self._pace.spend(len(data), deadline):
                self._clock_count = 0
        self._probe_later()

    async def _send_sound(self, payloads: list[bytes], timestamp: int) -> None:
        """Sound waits for no picture; only for sound itself, where too much comes at once."""
        for index, payload in enumerate(payloads):
            data = self._pack(payload, timestamp, is_last=index == len(payloads) - 1)
            await self.transport._send_rtp(data)
            await self._sound.spend(len(data), 0.0)
            self._pace.budget.charge(len(data))

    def _probe_later(self) -> None:
        """If nothing follows, send the last packet once more: it shows that others were lost."""
        if self._probe is not None:
            self._probe.cancel()
        last = (self._sequence - 1) & 0xFFFF
        self._probe = asyncio.get_running_loop().call_later(
            PROBE_DELAY, self._pace.repeat, self, last
        )

    def repeat(self, sequence: int) -> int:
        """Send a packet again, as one of the repeating source (RFC 4588): with its old number the
        far side's SRTP would refuse it, once a thousand others have passed (RFC 3711, 3.3.2)."""
        packet = self._history.get(sequence)
        if packet is None:
            return 0
        if self._rtx_payload_type is not None:
            packet = wrap_rtx(
                packet,
                payload_type=self._rtx_payload_type,
                sequence_number=self._rtx_sequence,
                ssrc=self._rtx_ssrc,
            )
            self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
        data = packet.serialize(self.__dict__[_S + "rtp_header_extensions_map"])
        run_now(self._send_packet(data))
        return len(data)

    async def _send_packet(self, data: bytes) -> None:
        try:
            await self.transport._send_rtp(data)
        except ConnectionError:
            return  # it is gone, and says so elsewhere

    async def stop(self) -> None:
        """aiortc's; nothing is sent any longer."""
        for timer in (self._probe, self._keyframe):
            if timer is not None:
                timer.cancel()
        await super().stop()

    def _pack(self, payload: bytes, timestamp: int, *, is_last: bool) -> bytes:
        assert self._codec is not None
        packet = RtpPacket(
            payload_type=self._codec.payloadType or 0,
            marker=int(is_last),
            sequence_number=self._sequence,
            timestamp=timestamp & 0xFFFFFFFF,
            ssrc=self._ssrc,
            payload=payload,
        )
        if self._clock_count % PACKETS_BETWEEN_CLOCKS == 0:
            now = clock.current_ntp_time()
            self._send_time = (now >> 14) & 0x00FFFFFF
            self.__dict__[_S + "ntp_timestamp"] = now
            self.__dict__[_S + "rtp_timestamp"] = packet.timestamp
        self._clock_count += 1
        packet.extensions.abs_send_time = self._send_time
        packet.extensions.mid = self.__dict__[_S + "mid"]
        data = packet.serialize(self.__dict__[_S + "rtp_header_extensions_map"])
        self._history[self._sequence] = packet
        if len(self._history) > HISTORY_PACKETS:
            del self._history[next(iter(self._history))]
        self._sequence = (self._sequence + 1) & 0xFFFF
        self.__dict__[_S + "octet_count"] += len(payload)
        self.__dict__[_S + "packet_count"] += 1
        return data

    # What aiortc calls

    async def _run_rtp(self, codec: RTCRtpCodecParameters) -> None:
        """aiortc's task for frames: here they come from elsewhere, so it only lives."""
        self.__dict__[_S + "rtp_started"].set()
        self._is_up.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.__dict__[_S + "rtp_exited"].set()

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
        if sequence_number in self._history:
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
        return int(self.__dict__[_S + "packet_count"])

    @property
    def rtt(self) -> float | None:
        return self.__dict__[_S + "rtt"]  # type: ignore[no-any-return]

    def reported(self) -> tuple[int, int]:
        """Packets lost and jitter in ticks, as the far side says."""
        report = self.__dict__[_S + "stats"].get(f"remote-inbound-rtp_{id(self)}")
        return (report.packetsLost, report.jitter) if report is not None else (0, 0)
