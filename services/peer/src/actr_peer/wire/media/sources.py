"""Where encoded frames come from: a test pattern and a tone; files are in ``file.py``.

A source is read by one track at a time (``wire.engine.MediaSource``) and holds at most one
frame: what nobody reads is not made, so nothing grows.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from abc import ABC, abstractmethod
from array import array
from fractions import Fraction

import av

from actr_peer.protocol.media.frames import AUDIO_CLOCK, TIMESTAMPS, VIDEO_CLOCK, Sample
from actr_peer.protocol.media.playback import MAX_LAG
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.wire.media.encoders import OPUS_FRAME, VideoEncoder, opus_encoder


class PacedSource(ABC):
    """Frames at the times their timestamps say.

    Args:
        track_id: What the far side sees; a random one where it is empty.
        speed: 1.0 is real time, 2.0 twice as fast, 0.0 as fast as they are taken.

    Attributes:
        dropped: Frames that were never made because their time had passed.
    """

    kind: TrackKind
    codec: str
    clock_rate: int

    def __init__(self, *, track_id: str = "", speed: float = 1.0) -> None:
        self.track_id = track_id or f"{self.kind}-{secrets.token_hex(4)}"
        self.speed = speed
        self.dropped = 0
        self._is_keyframe_wanted = False
        self._making: asyncio.Future[tuple[int, Sample] | None] | None = None
        self._origin: float | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.track_id} {self.codec}>"

    async def read(self) -> Sample | None:
        """Wait for the next frame's time; None at the end. Cancelling loses no frame."""
        made = await self._made()
        if made is None:
            return None
        ticks, sample = made
        await self._wait_until(ticks)
        self._making = None
        return sample

    async def _made(self) -> tuple[int, Sample] | None:
        """What is next, made in a thread; the same again until ``_making`` is None."""
        if self._making is None:
            self._making = asyncio.get_running_loop().run_in_executor(None, self._make)
        return await asyncio.shield(self._making)

    async def _wait_until(self, ticks: int) -> None:
        if self.speed <= 0:
            await asyncio.sleep(0)
            return
        now = asyncio.get_running_loop().time()
        offset = ticks / self.clock_rate / self.speed
        if self._origin is None:
            self._origin = now - offset
        late = now - (self._origin + offset)
        if late < 0:
            await asyncio.sleep(-late)
        elif late > MAX_LAG:  # nobody read for a while: go on from here
            self._origin += late
            self._skip(int(late * self.speed * self.clock_rate))

    def _skip(self, ticks: int) -> None:  # noqa: B027 - most sources leave nothing out
        """Time passed in which nothing was read; a live source leaves it out."""

    def request_keyframe(self) -> None:
        self._is_keyframe_wanted = True

    @abstractmethod
    def _make(self) -> tuple[int, Sample] | None:
        """The next frame and its time in ticks since the start; in a thread."""


class TestPattern(PacedSource):
    """VP8 video: a moving gradient with the number of the frame in large digits.

    Args:
        frames: How many, late rather than never; None: no end, and what is late is left out.
        bit_rate: Bits a second.
    """

    __test__ = False  # pytest: not a test
    kind: TrackKind = "video"
    codec = "VP8"
    clock_rate = VIDEO_CLOCK

    def __init__(
        self,
        *,
        track_id: str = "",
        speed: float = 1.0,
        width: int = 640,
        height: int = 360,
        fps: int = 30,
        frames: int | None = None,
        bit_rate: int = 1_000_000,
    ) -> None:
        super().__init__(track_id=track_id, speed=speed)
        self.width, self.height, self.fps = width, height, fps
        self._left = frames
        self._number = 0
        self._encoder = VideoEncoder(width, height, Fraction(fps), bit_rate)

    def _make(self) -> tuple[int, Sample] | None:
        while self._left is None or self._left > 0:
            number, self._number = self._number, self._number + 1
            ticks = number * VIDEO_CLOCK // self.fps
            frame = picture(self.width, self.height, number)
            frame.pts = ticks
            frame.time_base = Fraction(1, VIDEO_CLOCK)
            wanted, self._is_keyframe_wanted = self._is_keyframe_wanted, False
            packet = self._encoder.encode(frame, keyframe=wanted or number == 0)
            if packet is not None:
                if self._left is not None:
                    self._left -= 1
                sample = Sample(bytes(packet), ticks % TIMESTAMPS, packet.is_keyframe)
                return ticks, sample
            self.dropped += 1  # the encoder may leave one out to keep its bit rate
        return None

    def _skip(self, ticks: int) -> None:
        if self._left is not None:
            return
        skipped = ticks * self.fps // VIDEO_CLOCK
        self._number += skipped
        self.dropped += skipped
        self._origin = (self._origin or 0.0) - skipped / self.fps / self.speed
        self._is_keyframe_wanted = True


class Tone(PacedSource):
    """Opus sound: a sine of ``frequency`` Hz, in packets of 20 ms.

    Args:
        frames: How many packets, as for ``TestPattern``.
    """

    kind: TrackKind = "audio"
    codec = "opus"
    clock_rate = AUDIO_CLOCK

    def __init__(
        self,
        *,
        track_id: str = "",
        speed: float = 1.0,
        frequency: float = 440.0,
        frames: int | None = None,
    ) -> None:
        super().__init__(track_id=track_id, speed=speed)
        self.frequency = frequency
        self._left = frames
        self._at = 0
        self._encoder = opus_encoder()

    def _make(self) -> tuple[int, Sample] | None:
        while self._left is None or self._left > 0:
            at, self._at = self._at, self._at + OPUS_FRAME
            packets = self._encoder.encode(sine(self.frequency, at))
            if packets:
                if self._left is not None:
                    self._left -= 1
                return at, Sample(bytes(packets[0]), at % TIMESTAMPS)
        return None

    def _skip(self, ticks: int) -> None:
        if self._left is not None:
            return
        skipped = ticks // OPUS_FRAME
        self._at += skipped * OPUS_FRAME
        self.dropped += skipped
        self._origin = (self._origin or 0.0) - skipped * OPUS_FRAME / AUDIO_CLOCK / self.speed


def sine(frequency: float, at: int) -> av.AudioFrame:
    """20 ms of sound, ``at`` samples after its beginning."""
    step = 2 * math.pi * frequency / AUDIO_CLOCK
    samples = array("h")
    for index in range(OPUS_FRAME):
        value = int(8000 * math.sin(step * (at + index)))
        samples.extend((value, value))
    frame = av.AudioFrame(format="s16", layout="stereo", samples=OPUS_FRAME)
    frame.planes[0].update(samples.tobytes())
    frame.pts = at
    frame.sample_rate = AUDIO_CLOCK
    frame.time_base = Fraction(1, AUDIO_CLOCK)
    return frame


# Three columns and five rows for each digit, from the top left.
_DIGITS = (
    "111101101101111",
    "010110010010111",
    "111001111100111",
    "111001111001111",
    "101101111001001",
    "111100111001111",
    "111100111101111",
    "111001001001001",
    "111101111101111",
    "111101111001111",
)


def picture(width: int, height: int, number: int) -> av.VideoFrame:
    """Frame ``number`` of the test pattern, in YUV 4:2:0."""
    frame = av.VideoFrame(width, height, "yuv420p")
    luma, *chroma = frame.planes
    ramp = bytes(16 + x * 200 // width for x in range(width)) * 2
    shift = number * 4 % width
    row = ramp[shift : shift + width].ljust(luma.line_size, b"\x10")
    shades = bytearray(row * height)
    cell = max(2, height // 20)
    for place, digit in enumerate(str(number)):
        _draw(shades, luma.line_size, cell, (cell * (1 + 4 * place), cell), _DIGITS[int(digit)])
    luma.update(bytes(shades[: luma.buffer_size]).ljust(luma.buffer_size, b"\x10"))
    for index, plane in enumerate(chroma):
        plane.update(bytes([(96 + number + 64 * index) % 256]) * plane.buffer_size)
    return frame


def _draw(shades: bytearray, line: int, cell: int, corner: tuple[int, int], digit: str) -> None:
    left, top = corner
    for index, is_lit in enumerate(digit):
        x, y = left + index % 3 * cell, top + index // 3 * cell
        shade = b"\xeb" if is_lit == "1" else b"\x10"
        for row in range(y, y + cell):
            if x + cell <= line and (row + 1) * line <= len(shades):
                shades[row * line + x : row * line + x + cell] = shade * cell
