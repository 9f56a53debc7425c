"""Sources of given frames, and what arrives of them, for tests of tracks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from itertools import pairwise

from actr_peer.protocol.media.frames import MediaFrame, Sample
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.wire.webrtc.wire import WebRtcWire

CLOCKS = {"VP8": 90_000, "H264": 90_000, "opus": 48_000, "PCMU": 8_000, "PCMA": 8_000}


class Listed:
    """A source of given samples; between them it lets the loop run.

    Attributes:
        requests: How often a key frame was asked for.
    """

    def __init__(
        self, track_id: str, codec: str, samples: list[Sample], *, gap: float = 0.001
    ) -> None:
        self.track_id = track_id
        self.codec = codec
        self.kind: TrackKind = "video" if CLOCKS[codec] == 90_000 else "audio"
        self.samples = samples
        self.gap = gap
        self.requests = 0
        self.asked = asyncio.Event()
        self._next = 0

    @property
    def is_over(self) -> bool:
        """Whether all samples were taken."""
        return self._next == len(self.samples)

    async def read(self) -> Sample | None:
        if self.is_over:
            return None
        await asyncio.sleep(self.gap)
        self._next += 1
        return self.samples[self._next - 1]

    def request_keyframe(self) -> None:
        self.requests += 1
        self.asked.set()


def samples(codec: str, count: int, size: int = 3000) -> list[Sample]:
    """Random bytes that begin as frames of the codec do; the first is a key frame."""
    dice = random.Random(codec)
    starts = {"VP8": (b"\x10", b"\x11"), "H264": (b"\0\0\0\1\x65", b"\0\0\0\1\x41")}
    key, delta = starts.get(codec, (b"", b""))
    made = []
    for number in range(count):
        # No zero bytes: they could look like a start code.
        body = bytes(dice.randrange(1, 256) for _ in range(200)) * (size // 200)
        body += number.to_bytes(2, "big").replace(b"\0", b"\xff")
        made.append(Sample((delta if number else key) + body, 7 + number * 960, number == 0))
    return made


class Frames:
    """What arrives on a wire, by track."""

    def __init__(self, wire: WebRtcWire) -> None:
        self.all: list[MediaFrame] = []
        self._changed = asyncio.Event()
        wire.tracks.on_frame = self._arrived

    def _arrived(self, frame: MediaFrame) -> None:
        self.all.append(frame)
        self._changed.set()

    def of(self, track_id: str) -> list[MediaFrame]:
        return [frame for frame in self.all if frame.track_id == track_id]

    async def until(self, is_true: Callable[[], bool]) -> None:
        while not is_true():
            self._changed.clear()
            await self._changed.wait()

    async def expect(self, source: Listed) -> None:
        """Wait for all frames of ``source`` and compare everything about them."""
        await self.until(lambda: len(self.of(source.track_id)) >= len(source.samples))
        got = self.of(source.track_id)
        assert [frame.data for frame in got] == [sample.data for sample in source.samples]
        assert [frame.timestamp for frame in got] == [s.timestamp for s in source.samples]
        assert [frame.keyframe for frame in got] == [
            sample.keyframe or source.kind == "audio" for sample in source.samples
        ]
        assert {(frame.codec, frame.kind) for frame in got} == {(source.codec, source.kind)}
        numbers = [(frame.first_sequence, frame.last_sequence) for frame in got]
        assert all((first - last) % 65536 == 1 for (_, last), (first, _) in pairwise(numbers)), (
            "a gap between frames"
        )
