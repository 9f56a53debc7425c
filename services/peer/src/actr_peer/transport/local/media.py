"""Tracks to the own id: frames as objects, with no RTP and no connection below.

They reach callbacks and iterations as frames of a remote do, and are dropped there as those are,
the oldest first; a track begins with its publication and ends with it. What asks for a key frame
reaches the source.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final, cast

from actr_peer.errors import BrokenError, PeerError
from actr_peer.protocol.media.capture import CaptureClock
from actr_peer.protocol.media.frames import TIMESTAMPS, MediaFrame, Sample, TrackStats, is_keyframe
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.tasks import Tasks
from actr_peer.wire.webrtc.engine import MediaSource, TrackSender
from actr_peer.wire.webrtc.tracks import SentTrack
from actr_peer.wire.webrtc.tracks import Tracks as WireTracks

_SEQUENCES = 1 << 16
_CLOCKS: Final = {"VP8": 90_000, "H264": 90_000, "OPUS": 48_000}
"""Of all others 8,000 ticks a second (RFC 3551)."""

Described = Callable[[Mapping[str, TrackKind] | None], None]


class LoopSender:
    """One track: reads its source, and gives each frame to ``frame``; ``over`` hears of the end."""

    is_negotiated = True

    def __init__(
        self,
        source: MediaSource,
        frame: Callable[[MediaFrame], None],
        over: Callable[[LoopSender], None],
    ) -> None:
        self.source = source
        self.frames = 0
        self._clock = CaptureClock(_CLOCKS.get(source.codec.upper(), 8_000))
        self._frame = frame
        self._over = over

    async def run(self) -> bool:
        """Send frames until the source ends.

        Raises:
            PeerError: If the source fails.
        """
        try:
            while (sample := await self.source.read()) is not None:
                self._frame(self._frame_of(sample))
                self.frames += 1
                await asyncio.sleep(0)  # a source may have them all at hand
        finally:
            self._over(self)
        return True

    def _frame_of(self, sample: Sample) -> MediaFrame:
        source, sequence, data = self.source, self.frames % _SEQUENCES, bytes(sample.data)
        timestamp = sample.timestamp % TIMESTAMPS
        self._clock.note(timestamp, sample.captured_at or time.time())
        return MediaFrame(
            data=data,
            timestamp=timestamp,
            codec=source.codec,
            kind=source.kind,
            track_id=source.track_id,
            keyframe=source.kind == "audio" or is_keyframe(source.codec, data),
            first_sequence=sequence,
            last_sequence=sequence,
            sent_at=self._clock.when(timestamp),
        )


class LoopTracks:
    """All tracks to the own id, in the place of a WebRTC wire; owned by the transport.

    Args:
        background: Where the tracks' tasks run.
        frame: Given each frame.
        described: Told which tracks there are now, by id; None: there is none any more.
    """

    def __init__(
        self,
        background: Tasks,
        frame: Callable[[MediaFrame], None],
        described: Described = lambda tracks: None,
    ) -> None:
        self._background = background
        self._frame = frame
        self._described = described
        self._senders: dict[str, TrackSender] = {}
        """By track id."""
        self._is_gone = False
        self._told: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._senders)

    def publish_soon(
        self, source: MediaSource, settled: Callable[[SentTrack | PeerError], None]
    ) -> None:
        """Send ``source``, from now on; ``settled`` is told at once."""
        if self._is_gone:
            settled(BrokenError("the actor is leaving"))
            return
        sender = self._senders[source.track_id] = LoopSender(source, self._frame, self.withdraw)
        # Nothing is lost on the way: nobody asks for anything once the source has ended.
        self._describe()
        sent = SentTrack(cast(WireTracks, self), sender, linger=0)
        sent.start(self._background, f"rtp/self/{source.track_id}")
        settled(sent)

    def when_gone(self, told: Callable[[], None]) -> None:
        """Call ``told`` once when nothing is carried any more, in place of one before."""
        self._told = told

    def close(self) -> None:
        """Carry nothing any more. Twice is harmless."""
        self._is_gone = True
        told, self._told = self._told, None
        if told is not None:
            told()

    def request_keyframe(self, track_id: str) -> None:
        """Ask the source of a track for a key frame; does nothing if there is none."""
        sender = self._senders.get(track_id)
        if sender is not None:
            sender.source.request_keyframe()

    # What a sent track asks of its wire's

    def stats(self) -> list[TrackStats]:
        """None: there are no packets here to count."""
        return []

    def withdraw(self, track: TrackSender) -> None:
        """A track is over: forget it. Harmless when repeated."""
        track_id = track.source.track_id
        if self._senders.get(track_id) is track:
            del self._senders[track_id]
            self._describe()

    async def unpublish(self, track: TrackSender) -> None:
        """As :meth:`withdraw`; nobody has to agree."""
        self.withdraw(track)

    def _describe(self) -> None:
        self._described({key: sender.source.kind for key, sender in self._senders.items()})
        if not self._senders:
            self._described(None)
