"""Tracks that are pushed: the application sends encoded samples, one by one, when it has them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from actr_peer.errors import ClosedError, ConfigError
from actr_peer.protocol.media.frames import Sample, fault
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.wire.webrtc.source import check_size

MAX_WAITING = 2


class PushedTrack:
    """What all tracks that are pushed have; a ``MediaSource``.

    Args:
        track_id: What the far side sees.
        kind: ``audio`` or ``video``.
        codec: ``VP8``, ``H264``, ``opus``, ``PCMU``, ``PCMA`` or ``G722``.

    Attributes:
        bit_rate: What the far side estimates that the path carries, in bits a second; None until
            it has said so.
        on_keyframe: Called where the far side cannot decode and wants a key frame.
        on_bitrate: Called with each estimate.
        dropped: Samples or raw frames that were dropped because nobody took them in time.
    """

    def __init__(self, track_id: str, *, kind: TrackKind, codec: str) -> None:
        self.track_id = track_id
        self.kind: TrackKind = kind
        self.codec = codec
        self.bit_rate: float | None = None
        self.on_keyframe: Callable[[], None] | None = None
        self.on_bitrate: Callable[[float], None] | None = None
        self.dropped = 0
        self._is_ended = self._is_stopped = False
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.track_id} {self.codec}>"

    def end(self) -> None:
        """No more follows: the publication ends when what waits is sent."""
        self._is_ended = True
        self._tell()

    def published(self) -> None:
        """The runtime's: there is a publication that takes what is sent, or will."""
        self._is_stopped = False

    def unpublished(self) -> None:
        """The runtime's: the publication has ended."""
        self._is_stopped = True
        self._tell()

    def _check_open(self) -> None:
        if self._is_ended:
            raise ClosedError(f"track {self.track_id} has ended")
        if self._is_stopped:
            raise ClosedError(f"track {self.track_id} is published no longer")

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def request_keyframe(self) -> None:
        """The runtime's: the far side wants a key frame."""
        if self.on_keyframe is not None:
            self.on_keyframe()

    def bitrate_estimated(self, bits_per_second: float) -> None:
        """The runtime's: what the path carries, as the far side sees it."""
        self.bit_rate = bits_per_second
        if self.on_bitrate is not None:
            self.on_bitrate(bits_per_second)


class SampleTrack(PushedTrack):
    """Encoded samples, pushed one by one.

    It can be published before its first sample: ``publish`` returns when the far side has agreed.

    Args:
        track_id: What the far side sees.
        kind: ``audio`` or ``video``.
        codec: As for ``PushedTrack``.
        live: What :meth:`send` does while ``max_waiting`` samples wait, for the path is slow or no
            wire is there. False: it waits. True: what waits is dropped and counted; of video all
            that depends on it is dropped too, and a key frame is asked for.
        max_waiting: Samples that wait to be sent.
    """

    def __init__(
        self,
        track_id: str,
        *,
        kind: TrackKind = "video",
        codec: str = "VP8",
        live: bool = False,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        super().__init__(track_id, kind=kind, codec=codec)
        if max_waiting < 1:
            raise ConfigError(f"max_waiting = {max_waiting}: at least one sample waits")
        self.live = live
        self.max_waiting = max_waiting
        self._waiting: deque[Sample] = deque()
        self._is_broken = False
        """Whether samples were dropped on which those before the next key frame depend."""

    async def send(self, sample: Sample) -> bool:
        """Send one sample; False where it, or an older one in its place, was dropped.

        Cancelling while it waits sends nothing.

        Raises:
            ClosedError: If the track has ended, or its publication has.
            ConfigError: If it is no sample; the track goes on.
            LimitError: If it has more bytes than a receiver takes; likewise.
        """
        self._check_open()
        wrong = fault(sample)
        if wrong:
            raise ConfigError(f"track {self.track_id}: {wrong}")
        check_size(sample)
        if self.live:
            return self._push(sample)
        while len(self._waiting) >= self.max_waiting:
            await self._changed.wait()
            self._check_open()
        self._waiting.append(sample)
        self._tell()
        return True

    async def read(self) -> Sample | None:
        """The runtime's: the next sample, None at the end. Cancelling loses none."""
        while not self._waiting:
            if self._is_ended:
                return None
            await self._changed.wait()
        sample = self._waiting.popleft()
        self._tell()
        return sample

    def _push(self, sample: Sample) -> bool:
        if self.kind == "video" and self._is_broken:
            if not sample.keyframe:
                self.dropped += 1
                return False
            self._is_broken = False
        is_full = len(self._waiting) >= self.max_waiting
        if is_full and self.kind == "video" and not sample.keyframe:
            # A hole in video spoils all up to the next key frame: what waits is still whole.
            self.dropped += 1
            self._is_broken = True
            self.request_keyframe()
            return False
        if is_full:
            self._waiting.popleft()
            self.dropped += 1
        if is_full and self.kind == "video":
            self.dropped += len(self._waiting)  # they came before the key frame: it stands alone
            self._waiting.clear()
        self._waiting.append(sample)
        self._tell()
        return not is_full
