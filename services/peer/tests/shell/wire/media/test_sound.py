from __future__ import annotations

from typing import Any

import av
import pytest

from actr_peer.errors import ClosedError, ConfigError
from actr_peer.wire.media.encoders import OPUS_FRAME
from actr_peer.wire.media.sound import AudioTrack
from actr_peer.wire.media.sources import sine


async def timestamps(track: AudioTrack) -> list[int]:
    track.end()
    got = []
    while (sample := await track.read()) is not None:
        got.append(sample.timestamp)
    return got


async def test_pcm_becomes_opus_of_20_ms_whatever_its_blocks() -> None:
    track = AudioTrack("mic")
    for size in (100, 960, 3000, 740):
        await track.send(bytes(4 * size))
    assert await timestamps(track) == [n * OPUS_FRAME for n in range(5)]


async def test_frames_and_other_rates_are_taken() -> None:
    track = AudioTrack("mic", sample_rate=16_000, channels=1)
    for _ in range(5):
        await track.send(bytes(2 * 320))
    assert len(await timestamps(track)) in (4, 5)
    other = AudioTrack("mic")
    await other.send(sine(440, 0))
    assert await timestamps(other) == [0]


async def test_live_sound_that_nobody_takes_is_dropped_oldest_first() -> None:
    track = AudioTrack("mic")
    taken = [await track.send(bytes(4 * 960)) for _ in range(12)]
    assert taken == [True] * 10 + [False] * 2
    assert track.dropped == 2
    assert await timestamps(track) == [n * OPUS_FRAME for n in range(2, 12)], "time goes on"
    with pytest.raises(ClosedError):
        await track.send(bytes(4))


async def test_a_packet_says_when_its_sound_was_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("actr_peer.wire.media.sound.time.time", lambda: now)
    track = AudioTrack("mic")
    for _ in range(3):
        now += 0.03
        await track.send(bytes(4 * 1440))
    track.end()
    heard = []
    while (sample := await track.read()) is not None:
        heard.append(sample.captured_at)
    assert heard == pytest.approx([1000.0, 1000.02, 1000.04, 1000.06])


class Floats:
    dtype = "float32"


@pytest.mark.parametrize("pcm", [b"123", b"", bytes(4 * 480_001), "text", Floats()])
async def test_what_is_no_pcm_is_refused_with_a_reason(pcm: Any) -> None:
    with pytest.raises(ConfigError, match="PCM"):
        await AudioTrack("mic").send(pcm)


@pytest.mark.parametrize("shape", [{"channels": 3}, {"sample_rate": 10}])
def test_what_is_no_sound_is_refused_at_once(shape: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        AudioTrack("mic", **shape)


async def test_sound_of_another_form_is_refused_and_the_track_goes_on() -> None:
    track = AudioTrack("mic")
    with pytest.raises(ConfigError, match="give a rate"):
        await track.send(av.AudioFrame(format="s16", layout="stereo", samples=960))
    await track.send(bytes(4 * 960))
    other = av.AudioFrame(format="flt", layout="stereo", samples=960)
    other.sample_rate = 44_100
    with pytest.raises(ConfigError, match="first block"):
        await track.send(other)
    await track.send(bytes(4 * 960))
    assert await timestamps(track) == [0, OPUS_FRAME]
