"""aiortc's RTP receiver for frames that stay encoded.

The class of a transceiver's receiver is swapped at its birth. What differs from aiortc 1.16:

- frames come out whole, with the sender's timestamps; none is decoded, there is no thread
- a frame may have any number of packets, and all that is lost of it is asked for again
- the section may carry another track after a new exchange

Reports (RR), bandwidth estimates (REMB), retransmission (NACK, RTX) and key-frame requests (PLI)
are aiortc's. Source: RFC 3550, RFC 4585, RFC 4588.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpReceiver
from aiortc.codecs import depayload, is_rtx
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import (
    RTCP_PSFB_APP,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpSrPacket,
    RtpPacket,
    pack_remb_fci,
    unwrap_rtx,
)

from actr_peer.protocol.media.assembly import Assembler, Whole
from actr_peer.protocol.media.frames import MediaFrame, is_keyframe
from actr_peer.protocol.media.missing import REQUEST_INTERVAL, Missing
from actr_peer.wire.webrtc.aiortc.media.reports import SenderClock
from actr_peer.wire.webrtc.aiortc.steps import run_now

AUDIO_PATIENCE = 0.12
"""Seconds for which sound waits for a packet that was lost and may come again."""
KEYFRAME_INTERVAL = 0.3
"""Seconds between two requests for a key frame after losses."""
SILENCE = 1.0
"""Seconds after which a source that was left may come back."""
MAX_SOURCES = 8
"""Synchronization sources with statistics of their own, per section."""

_R = "_RTCRtpReceiver__"

log = logging.getLogger(__name__)


class Statistics(StreamStatistics):
    """aiortc's, whose numbers fit a report whatever timestamps came."""

    @property
    def jitter(self) -> int:
        return min(super().jitter, 0xFFFFFFFF)


class EncodedReceiver(RTCRtpReceiver):
    """Receives frames of one track at a time; made by :func:`adopt`, never constructed."""

    def adopt(self, on_frame: Callable[[MediaFrame], None]) -> None:
        self.track_id = ""
        self.codec = ""  # nothing has come yet
        self.frames = self.bytes = self.malformed = self.keyframe_requests = 0
        self._sender_clock = SenderClock()
        self._on_frame = on_frame
        self._source = 0
        self._heard_at = 0.0
        self._left: dict[int, None] = {}
        self._declared: set[int] = set()
        self._assembler = self._make_assembler()
        self._missing = Missing()
        self._timer: asyncio.TimerHandle | None = None
        self._lost_before = 0
        self._asked_at = 0.0
        self._codec: RTCRtpCodecParameters | None = None

    def _make_assembler(self) -> Assembler:
        if self.kind == "audio":
            return Assembler(patience=AUDIO_PATIENCE)
        return Assembler()

    @property
    def kind(self) -> Any:
        return self.__dict__[_R + "kind"]

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Take packets; again after each exchange, for the track may be another one."""
        codecs, repeating = self.__dict__[_R + "codecs"], self.__dict__[_R + "rtx_ssrc"]
        codecs.clear()
        repeating.clear()
        for codec in parameters.codecs:
            codecs[codec.payloadType] = codec
        for encoding in parameters.encodings:
            if encoding.rtx:
                repeating[encoding.rtx.ssrc] = encoding.ssrc
        sources = {encoding.ssrc for encoding in parameters.encodings}
        self.transport._register_rtp_receiver(self, parameters)
        for source in repeating:  # aiortc guesses, and not where there are two sections
            self.transport._rtp_router.ssrc_table[source] = self
        if not self.__dict__[_R + "started"]:
            self.__dict__[_R + "rtcp_task"] = self._start_reports()
            self.__dict__[_R + "started"] = True
        new, self._declared = sources - self._declared, sources
        for source in new - {self._source}:
            self._left.pop(source, None)
            self._change(source)
            # It says that we listen; and decoding begins with a key frame.
            await self._send_rtcp_pli(source)

    def _change(self, source: int) -> None:
        """Take frames of another source from now on."""
        if self._source:
            self._left[self._source] = None
            if len(self._left) > MAX_SOURCES:
                del self._left[next(iter(self._left))]
        self._source = source
        self._assembler = self._make_assembler()
        self._missing = Missing()
        self._lost_before = 0

    def _is_current(self, source: int, now: float) -> bool:
        """Whether a packet of ``source`` counts. A sender may put another track into its section
        without a word: its source is new, and what it left is not heard again while it speaks."""
        if source == self._source:
            self._heard_at = now
            return True
        if source in self._left and now - self._heard_at < SILENCE:
            return False
        self._left.pop(source, None)
        is_first = not self._source
        self._change(source)
        self._heard_at = now
        if not is_first and self.kind == "video" and now - self._asked_at > KEYFRAME_INTERVAL:
            self.request_keyframe()
        return True

    async def _run_rtcp(self) -> None:
        """aiortc's; one that fails would be waited for when the section is stopped."""
        try:
            await super()._run_rtcp()
        except Exception:
            log.exception("reports ended: track=%s", self.track_id)
            self.__dict__[_R + "rtcp_exited"].set()

    def _start_reports(self) -> asyncio.Task[None]:
        # aiortc owns this task: its stop() waits for it.
        return asyncio.get_running_loop().create_task(self._run_rtcp())

    def request_keyframe(self) -> None:
        """Ask for a key frame now (PLI, RFC 4585, 6.3.1)."""
        if self._source:
            self._asked_at = time.monotonic()
            self.keyframe_requests += 1
            run_now(self._send_rtcp_pli(self._source))

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        """aiortc's; a sender's report says when a timestamp was (RFC 3550, 6.4.1)."""
        if isinstance(packet, RtcpSrPacket):
            self._sender_clock.report(packet)
        await super()._handle_rtcp_packet(packet)

    def _handle_disconnect(self) -> None:
        """aiortc ends a decoder here; there is none."""

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        """Take one packet; one that makes no sense is dropped and counted."""
        try:
            await self._take(packet, arrival_time_ms)
        except (ValueError, LookupError, TypeError, AssertionError, struct.error) as exc:
            self.malformed += 1
            log.debug("malformed RTP packet: track=%s cause=%r", self.track_id, exc)

    async def _take(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        codec = self.__dict__[_R + "codecs"].get(packet.payload_type)
        if codec is None or not self._enabled:
            return
        await self._estimate_bandwidth(packet, arrival_time_ms)
        streams = self.__dict__[_R + "remote_streams"]
        if packet.ssrc not in streams:
            if len(streams) >= MAX_SOURCES:
                streams.clear()
            streams[packet.ssrc] = Statistics(codec.clockRate)
        streams[packet.ssrc].add(packet)
        if is_rtx(codec):
            original = self.__dict__[_R + "rtx_ssrc"].get(packet.ssrc)
            codec = self.__dict__[_R + "codecs"].get(codec.parameters.get("apt"))
            if original is None and packet.ssrc not in self._left:
                original = self._source  # of a source that no description names
            if original != self._source or codec is None or len(packet.payload) < 2:
                return
            packet = unwrap_rtx(packet, payload_type=codec.payloadType or 0, ssrc=original)
        now = time.monotonic()
        if not self._is_current(packet.ssrc, now):
            return
        if self._missing.add(packet.sequence_number, now=now):
            self._ask_for_missing()
        data = depayload(codec, packet.payload) if packet.payload else b""
        self._assemble(packet, codec, data, now)

    def _assemble(
        self, packet: RtpPacket, codec: RTCRtpCodecParameters, data: bytes, now: float
    ) -> None:
        self._codec = codec
        self._deliver(
            self._assembler.add(
                packet.sequence_number,
                packet.timestamp,
                data,
                is_last=self.kind == "audio" or bool(packet.marker),
                now=now,
            )
        )

    def _ask_for_missing(self) -> None:
        """Ask now, and again until nothing is missing: what is sent again may be lost again."""
        now = time.monotonic()
        lost = self._missing.due(now=now)
        if lost:
            run_now(self._send_rtcp_nack(self._source, lost))
        if self._timer is None and self._missing:
            self._timer = asyncio.get_running_loop().call_later(
                REQUEST_INTERVAL, self._still_missing
            )

    def _still_missing(self) -> None:
        self._timer = None
        self._ask_for_missing()
        self._deliver(self._assembler.expire(now=time.monotonic()))

    async def stop(self) -> None:
        """aiortc's; nothing is asked for any longer."""
        if self._timer is not None:
            self._timer.cancel()
        self._missing = Missing()
        await super().stop()

    def _deliver(self, frames: list[Whole]) -> None:
        for whole in frames:
            assert self._codec is not None
            self.codec = self._codec.name
            self.frames += 1
            self.bytes += len(whole.data)
            self._on_frame(
                MediaFrame(
                    data=whole.data,
                    timestamp=whole.timestamp,
                    codec=self.codec,
                    kind=self.kind,
                    track_id=self.track_id,
                    keyframe=is_keyframe(self.codec, whole.data),
                    first_sequence=whole.first_sequence,
                    last_sequence=whole.last_sequence,
                    sent_at=self._sender_clock.when(self._source, whole.timestamp, self._codec),
                )
            )
        if self._assembler.lost_frames > self._lost_before and self.kind == "video":
            self._lost_before = self._assembler.lost_frames
            if time.monotonic() - self._asked_at > KEYFRAME_INTERVAL:
                self.request_keyframe()

    async def _estimate_bandwidth(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        """Tell the sender what the path seems to carry (REMB)."""
        estimator = self.__dict__[_R + "remote_bitrate_estimator"]
        if estimator is None or packet.extensions.abs_send_time is None:
            return
        estimate = estimator.add(
            abs_send_time=packet.extensions.abs_send_time,
            arrival_time_ms=arrival_time_ms,
            payload_size=len(packet.payload) + packet.padding_size,
            ssrc=packet.ssrc,
        )
        own = self.__dict__[_R + "rtcp_ssrc"]
        if estimate is not None and own is not None:
            report = RtcpPsfbPacket(
                fmt=RTCP_PSFB_APP, ssrc=own, media_ssrc=0, fci=pack_remb_fci(*estimate)
            )
            await self._send_rtcp(report)

    @property
    def statistics(self) -> StreamStatistics | None:
        return self.__dict__[_R + "remote_streams"].get(self._source)  # type: ignore[no-any-return]

    @property
    def lost_frames(self) -> int:
        return self._assembler.lost_frames

    @property
    def jitter(self) -> float | None:
        """Seconds."""
        statistics = self.statistics
        if statistics is None or self._codec is None:
            return None
        return statistics.jitter / self._codec.clockRate
