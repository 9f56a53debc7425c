"""Which track is in which media section of a connection's description.

A section carries one track one way: the offerer's own ones are ``sendonly`` in the offer, those
for the far side's tracks ``recvonly``. Sections are never taken out of a description; one whose
track has gone is used again for the next of its kind. Which track is where travels beside the
description, as mid to track id: aiortc tells no change of a section's track.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import get_args

from aiortc import RTCPeerConnection, RTCRtpSender, RTCRtpTransceiver
from aiortc.codecs import is_rtx
from aiortc.rtcrtpparameters import RTCRtpCodecCapability, RTCRtpCodecParameters

from actr_peer.errors import (
    BrokenError,
    BusyError,
    ConfigError,
    LimitError,
    RemoteProtocolError,
)
from actr_peer.protocol.media.frames import MediaFrame, TrackStats
from actr_peer.protocol.webrtc.descriptions import Section
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.wire.webrtc.aiortc.media.codecs import takes
from actr_peer.wire.webrtc.aiortc.media.pace import Pace
from actr_peer.wire.webrtc.aiortc.media.receivers import EncodedReceiver
from actr_peer.wire.webrtc.aiortc.media.senders import EncodedSender
from actr_peer.wire.webrtc.engine import MediaSource, TrackSender
from actr_peer.wire.webrtc.source import MAX_TRACK_ID_CHARACTERS, GuardedSource, guard

MAX_TRACKS = 16
"""Of each side: sections and their descriptions must fit a signaling message."""

log = logging.getLogger(__name__)


class SectionTrack:
    """One outgoing track; see ``wire.engine.TrackSender``."""

    def __init__(self, source: GuardedSource) -> None:
        self.source = source
        self.frames = self.bytes = 0
        self.section: RTCRtpTransceiver | None = None

    @property
    def is_negotiated(self) -> bool:
        return self.section is not None and self.section.currentDirection == "sendonly"

    async def run(self) -> bool:
        sender = self.sender
        assert self.section is not None
        assert sender is not None
        wanted = _only(self.source.codec, self.section._codecs)
        if not wanted:
            raise RemoteProtocolError(f"the far side does not take {self.source.codec}")
        await sender.ready(wanted, self.source.request_keyframe, self.source.bitrate_estimated)
        while (sample := await self.source.read()) is not None:
            try:
                await sender.transmit(sample)
            except ConnectionError as exc:
                log.debug("track stops with its wire: track=%s cause=%s", self.source.track_id, exc)
                return False
            except (ValueError, TypeError, LookupError, AssertionError) as exc:
                raise BrokenError(f"a frame that is no {self.source.codec}: {exc!r}") from exc
            self.frames += 1
            self.bytes += len(sample.data)
        return True

    @property
    def sender(self) -> EncodedSender | None:
        if self.section is None:
            return None
        sender = self.section.sender
        assert isinstance(sender, EncodedSender)
        return sender


class Sections:
    """The tracks of one ``RTCPeerConnection``; see ``wire.engine.MediaEngine``."""

    def __init__(self, rate: int) -> None:
        self.on_frame: Callable[[MediaFrame], None] | None = None
        self.on_tracks: Callable[[Mapping[str, TrackKind]], None] | None = None
        self.unwanted = 0
        """Frames that came while nobody took them."""
        self.pace = Pace(rate)
        self._pc: RTCPeerConnection
        self._tracks: dict[str, SectionTrack] = {}
        self._expected: Mapping[str, str] = {}

    def attach(self, pc: RTCPeerConnection) -> None:
        self._pc = pc

    def adopt(self, transceiver: RTCRtpTransceiver) -> None:
        """Take over a transceiver at its birth."""
        sender, receiver = transceiver.sender, transceiver.receiver
        sender.__class__, receiver.__class__ = EncodedSender, EncodedReceiver
        assert isinstance(sender, EncodedSender)
        assert isinstance(receiver, EncodedReceiver)
        sender.adopt(self.pace)
        receiver.adopt(self._arrived)

    def _arrived(self, frame: MediaFrame) -> None:
        if self.on_frame is not None:
            self.on_frame(frame)
        else:
            self.unwanted += 1

    # What the owner wants

    def publish(self, source: MediaSource) -> SectionTrack:
        source = guard(source)
        if source.track_id in self._tracks:
            raise BusyError(f"track {source.track_id!r} is published on this connection")
        if len(self._tracks) >= MAX_TRACKS:
            raise LimitError("tracks", limit=MAX_TRACKS, asked=len(self._tracks) + 1)
        codecs = {codec.name for codec in _capabilities(source.kind)}
        if source.codec not in codecs:
            allowed = ", ".join(sorted(codecs))
            raise ConfigError(f"codec {source.codec!r} for {source.kind}: take one of {allowed}")
        track = self._tracks[source.track_id] = SectionTrack(source)
        return track

    def unpublish(self, track: TrackSender) -> None:
        known = self._tracks.get(track.source.track_id)
        if known is not track:
            return
        del self._tracks[track.source.track_id]
        if known.section is not None:
            known.section.direction = "inactive"
        if known.sender is not None:
            known.sender.rest()

    def wanted(self) -> Mapping[str, str]:
        return {track_id: track.source.kind for track_id, track in self._tracks.items()}

    def expect(self, tracks: Mapping[str, str]) -> None:
        if len(tracks) > MAX_TRACKS:
            raise LimitError("tracks of the far side", limit=MAX_TRACKS, asked=len(tracks))
        for kind in tracks.values():
            if kind not in get_args(TrackKind):
                raise RemoteProtocolError(f"a track of kind {kind[:20]!r}")
        self._expected = dict(tracks)

    def request_keyframe(self, track_id: str) -> None:
        for section in self._pc.getTransceivers():
            receiver = section.receiver
            if isinstance(receiver, EncodedReceiver) and receiver.track_id == track_id:
                receiver.request_keyframe()

    # What the engine does with it

    def offer(self) -> None:
        """Before an offer: have a section for each track, of this side and of the other."""
        for track in self._tracks.values():
            if track.section is None:
                idle = [
                    section
                    for section in self._sections(track.source.kind, "inactive")
                    if not self._is_used(section)
                ]
                section = idle[0] if idle else self._add(track.source.kind, "sendonly")
                section.direction = "sendonly"
                wanted = (track.source.codec, "rtx")
                section.setCodecPreferences(
                    [c for c in _capabilities(track.source.kind) if c.name in wanted]
                )
                self._bind(track, section)
        for kind in get_args(TrackKind):
            count = sum(each == kind for each in self._expected.values())
            for _ in range(count - len(self._sections(kind, "recvonly"))):
                self._add(kind, "recvonly")

    async def recycle(self, sections: Sequence[Section]) -> None:
        """Before an offer of the far side is applied: let go of what it puts others in place of
        (RFC 8829, 5.2.2). aiortc finds a transceiver by its mid, and by its place."""
        for index, section in enumerate(sections):
            for transceiver in self._pc.getTransceivers():
                if transceiver._get_mline_index() != index or transceiver.mid == section.mid:
                    continue
                self._forget_section(transceiver)
                if transceiver.kind == section.kind:
                    transceiver._set_mid(section.mid)
                    transceiver.sender.__dict__["_RTCRtpSender__mid"] = section.mid
                else:
                    self._pc._RTCPeerConnection__transceivers.remove(transceiver)  # type: ignore[attr-defined]
                    await transceiver.stop()

    def _forget_section(self, transceiver: RTCRtpTransceiver) -> None:
        transceiver.direction = "recvonly"  # as one that an offer makes
        for track in self._tracks.values():
            if track.section is transceiver:
                track.section = None  # it goes on in another one, where there is one
        if isinstance(transceiver.receiver, EncodedReceiver):
            transceiver.receiver.track_id = ""

    def takes_answer(self, section: Section) -> bool:
        """Whether the far side's answer for a section of ours can be used."""
        for transceiver in self._pc.getTransceivers():
            if transceiver.mid == section.mid:
                return takes(section, transceiver._preferred_codecs)
        return False

    @contextmanager
    def idle(self, sections: Sequence[Section]) -> Iterator[None]:
        """While an answer is applied: any codec will do where nothing will be sent."""
        mids = {section.mid for section in sections if section.direction == "inactive"}
        idle = [each for each in self._pc.getTransceivers() if each.mid in mids]
        preferred = [each._preferred_codecs for each in idle]
        for each in idle:
            each._preferred_codecs = []
        try:
            yield
        finally:
            for each, codecs in zip(idle, preferred, strict=True):
                each._preferred_codecs = codecs

    def answer(self) -> None:
        """Between an offer and its answer: put the tracks into the sections made for them."""
        for track in self._tracks.values():
            if track.section is not None:
                continue
            for section in self._sections(track.source.kind):
                codecs = [c for c in section._codecs if c.name == track.source.codec]
                if section._offerDirection == "sendonly" and codecs and not self._is_used(section):
                    section.direction = "sendonly"
                    self._bind(track, section)
                    break
        for track in self._tracks.values():
            if track.section is not None:
                # aiortc negotiates all that both know; we send one.
                wanted = _only(track.source.codec, track.section._codecs)
                track.section._codecs = wanted or track.section._codecs

    def agreed(self) -> None:
        """After an answer: the far side listens. Who answered waits for a word of it by RTCP."""
        for track in self._tracks.values():
            if track.sender is not None and track.is_negotiated:
                track.sender.go()

    def sent(self, sdp: str) -> dict[str, str]:
        """mid to id of the tracks of this side in its description ``sdp``."""
        mids = [line[6:] for line in sdp.splitlines() if line.startswith("a=mid:")]
        return {
            mids[index]: track_id
            for track_id, track in self._tracks.items()
            if track.section is not None
            and (index := track.section._get_mline_index()) is not None
            and index < len(mids)
        }

    def received(self, track_ids: Mapping[str, str]) -> None:
        """Note which tracks of the far side are where."""
        for section in self._pc.getTransceivers():
            track_id = track_ids.get(section.mid or "")
            if track_id is not None and isinstance(section.receiver, EncodedReceiver):
                section.receiver.track_id = track_id[:MAX_TRACK_ID_CHARACTERS]

    def settled(self) -> None:
        """An exchange is done: tell which tracks of the far side there are now."""
        if self.on_tracks is None:
            return
        tracks: dict[str, TrackKind] = {}
        for section in self._pc.getTransceivers():
            receiver = section.receiver
            if section.currentDirection == "recvonly" and isinstance(receiver, EncodedReceiver):
                tracks[receiver.track_id] = receiver.kind
        tracks.pop("", None)
        self.on_tracks(tracks)

    def _bind(self, track: SectionTrack, section: RTCRtpTransceiver) -> None:
        track.section = section
        assert isinstance(section.sender, EncodedSender)
        section.sender.begin(track.source.track_id)

    def _add(self, kind: str, direction: str) -> RTCRtpTransceiver:
        return self._pc.addTransceiver(kind, direction)

    def _sections(self, kind: str, direction: str | None = None) -> list[RTCRtpTransceiver]:
        return [
            section
            for section in self._pc.getTransceivers()
            if section.kind == kind and direction in (None, section.direction)
        ]

    def _is_used(self, section: RTCRtpTransceiver) -> bool:
        return any(track.section is section for track in self._tracks.values())

    # How it goes

    def stats(self) -> list[TrackStats]:
        found = [self._outbound(track) for track in self._tracks.values()]
        for section in self._pc.getTransceivers():
            receiver = section.receiver
            if section.currentDirection == "recvonly" and isinstance(receiver, EncodedReceiver):
                found.append(self._inbound(receiver))
        return found

    def _outbound(self, track: SectionTrack) -> TrackStats:
        sender = track.sender
        lost, ticks = sender.reported() if sender is not None else (0, 0)
        clock_rate = {"audio": 48_000, "video": 90_000}[track.source.kind]
        return TrackStats(
            track_id=track.source.track_id,
            kind=track.source.kind,
            is_outbound=True,
            packets=sender.packets if sender is not None else 0,
            lost=lost,
            jitter=ticks / clock_rate,
            rtt=sender.rtt if sender is not None else None,
            frames=track.frames,
            dropped=track.source.dropped,
            codec=track.source.codec,
            bytes=track.bytes,
        )

    def _inbound(self, receiver: EncodedReceiver) -> TrackStats:
        statistics = receiver.statistics
        return TrackStats(
            track_id=receiver.track_id,
            kind=receiver.kind,
            is_outbound=False,
            packets=statistics.packets_received if statistics is not None else 0,
            lost=statistics.packets_lost if statistics is not None else 0,
            jitter=receiver.jitter,
            rtt=None,
            frames=receiver.frames,
            dropped=receiver.lost_frames,
            codec=receiver.codec,
            bytes=receiver.bytes,
            keyframe_requests=receiver.keyframe_requests,
        )


def _only(name: str, codecs: list[RTCRtpCodecParameters]) -> list[RTCRtpCodecParameters]:
    """The codec of this name, and the one that repeats its packets; empty if it is not there."""
    for codec in codecs:
        if codec.name == name:
            repeating = (
                c for c in codecs if is_rtx(c) and c.parameters.get("apt") == codec.payloadType
            )
            return [codec, *repeating]
    return []


def _capabilities(kind: str) -> list[RTCRtpCodecCapability]:
    return RTCRtpSender.getCapabilities(kind).codecs
