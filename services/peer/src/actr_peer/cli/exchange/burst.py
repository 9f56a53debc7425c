"""Short bursts of video on one track for each remote: the frames are encoded once, for all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from actr_peer import ActrId, ActrRef, PeerError
from actr_peer.protocol.media.frames import TIMESTAMPS, VIDEO_CLOCK, Sample
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.transport.publications import Publication, PublicationState
from actr_peer.wire.media.sources import TestPattern

FRAMES: Final = 10
FPS: Final = 30
WIDTH: Final = 160
HEIGHT: Final = 120
PUBLISH_TIMEOUT: Final = 10.0
STOP_TIMEOUT: Final = 2.0


async def make_clip() -> list[Sample]:
    """Encode a third of a second of the test pattern; it begins with a key frame."""
    pattern = TestPattern(width=WIDTH, height=HEIGHT, fps=FPS, frames=FRAMES, speed=0)
    clip = []
    while (sample := await pattern.read()) is not None:
        clip.append(sample)
    return clip


class ClipSource:
    """A track that shows the clip each time that it is asked to, and nothing between.

    What was not read of the last showing is dropped, so nothing grows while the track is
    suspended.
    """

    kind: TrackKind = "video"
    codec = "VP8"

    def __init__(self, track_id: str, clip: Sequence[Sample]) -> None:
        self.track_id = track_id
        self._clip = clip
        self._left: deque[Sample] = deque()
        self._shown = asyncio.Event()
        self._timestamp = 0

    def show(self) -> None:
        """Show the clip once, from its key frame."""
        self._left = deque(self._clip)
        self._shown.set()

    async def read(self) -> Sample | None:
        """The next frame, at the pace of the clip."""
        while not self._left:
            self._shown.clear()
            await self._shown.wait()
        await asyncio.sleep(1 / FPS)
        frame = self._left.popleft()
        self._timestamp = (self._timestamp + VIDEO_CLOCK // FPS) % TIMESTAMPS
        return Sample(frame.data, self._timestamp, frame.keyframe)

    def request_keyframe(self) -> None:
        """The next showing begins with one."""


class Burst:
    """The track for one remote; published when first used, and again if it has ended."""

    def __init__(self, ref: ActrRef, remote: ActrId, clip: Sequence[Sample]) -> None:
        self._ref = ref
        self._remote = remote
        self._source = ClipSource(f"clip-of-{ref.id.instance}", clip)
        self._length = len(clip)
        self._publication: Publication | None = None

    async def send(self) -> int:
        """Show the clip; return its frames. While no WebRTC wire is up they are dropped.

        Raises:
            PeerError: As :meth:`ActrRef.publish`.
        """
        track = self._publication
        if track is None or track.state is PublicationState.ENDED:
            self._publication = await self._ref.publish(
                self._remote, self._source, timeout=PUBLISH_TIMEOUT
            )
        self._source.show()
        return self._length

    async def close(self) -> None:
        """Take the track away, where the remote can still be asked."""
        if self._publication is not None:
            with suppress(PeerError, TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT):
                    await self._publication.stop()
