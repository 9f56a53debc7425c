"""Sound that is encoded here: a track of PCM."""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import av
from av.audio.resampler import AudioResampler

from actr_peer.errors import ConfigError
from actr_peer.protocol.media.frames import AUDIO_CLOCK, TIMESTAMPS, Sample
from actr_peer.wire.media.encoders import OPUS_FRAME, opus_encoder
from actr_peer.wire.media.raw import RawTrack

MAX_BLOCKS: Final = 10
"""Blocks of PCM that wait for the encoder."""
MAX_BLOCK_SECONDS: Final = 10


@dataclass(slots=True, eq=False)
class Block:
    """Sound that waits for the encoder."""

    frame: av.AudioFrame
    seconds: float
    taken_at: float
    """When its first sample was taken, in seconds since 1970."""
    skipped: float = 0.0
    """Seconds of sound that was dropped before it."""


class AudioTrack(RawTrack):
    """PCM that is encoded here to Opus, in packets of 20 ms.

    Args:
        track_id: What the far side sees.
        sample_rate: Samples a second of PCM in bytes or arrays.
        channels: 1 or 2, of the same.
        bitrate: Bits a second.
        live: As for ``RawTrack``; what is dropped is left out of the sound, and time goes on.

    Raises:
        ConfigError: If the rate or the channels are none.
    """

    def __init__(
        self,
        track_id: str,
        *,
        sample_rate: int = AUDIO_CLOCK,
        channels: int = 2,
        bitrate: int = 64_000,
        live: bool = True,
    ) -> None:
        if channels not in (1, 2) or not 8_000 <= sample_rate <= 192_000:
            raise ConfigError(
                f"{channels} channels at {sample_rate} Hz: give 1 or 2, at 8,000 to 192,000 Hz"
            )
        super().__init__(track_id, kind="audio", codec="opus", live=live, max_waiting=MAX_BLOCKS)
        self.sample_rate, self.channels, self.bitrate = sample_rate, channels, bitrate
        self._resampler = AudioResampler("s16", "stereo", AUDIO_CLOCK, frame_size=OPUS_FRAME)
        self._encoder = opus_encoder(bitrate)
        self._form: tuple[str, str, int] | None = None
        """Format, layout and rate of the first block, which all others have."""
        self._at = 0
        """Samples at 48 kHz before the next packet."""
        self._taken = 0
        """Likewise, before the next block."""

    async def send(self, pcm: Any) -> bool:
        """Send a block of sound, of any length up to 10 s; False where an older one was dropped.

        Args:
            pcm: An ``av.AudioFrame``; bytes of 16-bit samples, channel by channel in turn; or an
                array of numpy of ``int16``, of samples x channels.

        Raises:
            ClosedError: If the track has ended.
            ConfigError: If it is no PCM, or of another form than the first block.
        """
        frame = self._frame(pcm)
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if not frame.sample_rate or self._form not in (None, form):
            raise ConfigError(f"sound of {form}: give a rate, and what the first block had")
        self._form = form
        seconds = frame.samples / frame.sample_rate
        return await self._push(Block(frame, seconds, time.time() - seconds))

    def _drop(self, raw: Block) -> None:
        """What comes next is as much later."""
        super()._drop(raw)
        self._raw[0].skipped += raw.skipped + raw.seconds

    def _frame(self, pcm: Any) -> av.AudioFrame:
        if isinstance(pcm, av.AudioFrame):
            return pcm
        if getattr(pcm, "dtype", "int16") != "int16":
            raise ConfigError(f"PCM of {pcm.dtype}: give 16-bit samples (int16)")
        data = pcm.tobytes() if hasattr(pcm, "tobytes") else pcm
        if not isinstance(data, bytes | bytearray):
            raise ConfigError(f"{type(pcm).__name__} is no PCM: give an AudioFrame, bytes or int16")
        samples, rest = divmod(len(data), 2 * self.channels)
        if rest or not 0 < samples <= MAX_BLOCK_SECONDS * self.sample_rate:
            raise ConfigError(
                f"{len(data)} bytes of PCM: give whole samples, {MAX_BLOCK_SECONDS} s at most"
            )
        layout = "mono" if self.channels == 1 else "stereo"
        frame = av.AudioFrame(format="s16", layout=layout, samples=samples)
        frame.planes[0].update(bytes(data).ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate = self.sample_rate
        return frame

    def _encode(self, raw: Block | None) -> list[Sample]:
        taken_at = None
        if raw is not None:
            raw.frame.pts = None
            skipped = round(raw.skipped * AUDIO_CLOCK)
            self._at += skipped
            self._taken += skipped
            taken_at = raw.taken_at - self._taken / AUDIO_CLOCK
            self._taken += round(raw.seconds * AUDIO_CLOCK)
        made = []
        for part in self._resampler.resample(raw.frame if raw is not None else None):
            if part.samples < OPUS_FRAME:
                continue  # the rest of the last block: less than 20 ms
            at = self._at
            self._at += part.samples
            part.pts, part.time_base = at, Fraction(1, AUDIO_CLOCK)
            when = taken_at + at / AUDIO_CLOCK if taken_at is not None else None
            made += [
                Sample(bytes(packet), at % TIMESTAMPS, captured_at=when)
                for packet in self._encoder.encode(part)
            ]
        return made
