"""Pictures that flash while the sound beeps: what is in step can be seen and heard."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

FPS = 25
LENGTH = 0.2
"""Seconds of a flash."""
LOUD = 12_000


def picture(at: float, flashes: Sequence[float]) -> av.VideoFrame:
    """Dark, or bright during a flash."""
    frame = av.VideoFrame(64, 48, "yuv420p")
    shade = b"\xeb" if _is_on(at, flashes) else b"\x10"
    for plane, value in zip(frame.planes, (shade, b"\x80", b"\x80"), strict=True):
        plane.update(value * plane.buffer_size)
    frame.pts, frame.time_base = round(at * 90_000), Fraction(1, 90_000)
    return frame


def pcm(at: float, flashes: Sequence[float]) -> bytes:
    """20 ms of a square wave of 500 Hz in stereo, or of silence."""
    samples = array("h")
    for number in range(960):
        value = LOUD if _is_on(at + number / 48_000, flashes) else 0
        value *= 1 if number // 48 % 2 else -1
        samples.extend((value, value))
    return samples.tobytes()


def _is_on(at: float, flashes: Sequence[float]) -> bool:
    return any(each - 1e-6 <= at < each + LENGTH for each in flashes)


class Show:
    """Pictures and sound that are pushed at their times.

    Attributes:
        late: Seconds by which the latest of them was pushed too late, at most: a machine that is
            so busy shows nothing of what was to be seen then.
    """

    def __init__(self) -> None:
        self.late = 0.0

    async def perform(
        self, camera: Any, mic: Any, seconds: float, flashes: Sequence[float]
    ) -> None:
        """Push for so long; ``flashes`` may become more meanwhile."""
        await asyncio.gather(
            self._pushed(seconds, FPS, lambda at: camera.send(picture(at, flashes))),
            self._pushed(seconds, 50, lambda at: mic.send(pcm(at, flashes))),
        )

    async def _pushed(self, seconds: float, rate: int, push: Any) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(round(seconds * rate)):
            await asyncio.sleep(began + number / rate - loop.time())
            await push(number / rate)
            self.late = max(self.late, loop.time() - began - number / rate)


def film(path: Path, codecs: tuple[str, str], seconds: float, flashes: Sequence[float]) -> Path:
    """A file whose sound begins 0.4 s after its picture."""
    begins = 0.4
    with av.open(str(path), "w") as file:
        video: Any = file.add_stream(codecs[0], rate=FPS)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.max_b_frames = 0
        video.codec_context.time_base = Fraction(1, 90_000)
        sound: Any = file.add_stream(codecs[1], rate=48_000)
        sound.layout = "stereo"
        for number in range(round(seconds * FPS)):
            file.mux(video.encode(picture(number / FPS, flashes)))
        file.mux(video.encode(None))
        for number in range(round(begins * 50), round(seconds * 50)):
            block = av.AudioFrame(format="s16", layout="stereo", samples=960)
            block.planes[0].update(pcm(number / 50, flashes))
            block.sample_rate, block.time_base = 48_000, Fraction(1, 48_000)
            block.pts = number * 960
            file.mux(sound.encode(block))
        file.mux(sound.encode(None))
    return path


def flashes_of(path: Path) -> list[float]:
    """When the picture of a file becomes bright."""
    with av.open(str(path)) as file:
        shown = [
            (frame.time or 0.0, bytes(frame.planes[0])[0] > 128) for frame in file.decode(video=0)
        ]
    return [at for (_, before), (at, now) in pairwise(shown) if now and not before]


def beeps_of(path: Path) -> list[float]:
    """When its sound becomes loud, after a while of silence."""
    beeps, quiet_since = [], 0.0
    with av.open(str(path)) as file:
        to_pcm = av.AudioResampler("s16", "mono", 48_000)
        for frame in file.decode(audio=0):
            at = frame.time or 0.0
            (plain,) = to_pcm.resample(frame)
            samples = array("h", bytes(plain.planes[0])[: plain.samples * 2])
            for number, value in enumerate(samples):
                if abs(value) > LOUD // 4:
                    now = at + number / 48_000
                    if now - quiet_since > LENGTH / 2:
                        beeps.append(now)
                    quiet_since = now
    return beeps
