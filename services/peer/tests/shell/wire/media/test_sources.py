from __future__ import annotations

import asyncio
from fractions import Fraction
from pathlib import Path

import av
import pytest

from actr_peer.errors import BrokenError, ConfigError
from actr_peer.protocol.media.frames import Sample, is_keyframe
from actr_peer.wire.media.file import open_media
from actr_peer.wire.media.sources import (
    OPUS_FRAME,
    PacedSource,
    TestPattern,
    Tone,
    opus_encoder,
    picture,
    sine,
)
from peer_kit.webrtc.flashes import film


async def read_all(source: PacedSource) -> list[Sample]:
    samples = []
    while (sample := await source.read()) is not None:
        samples.append(sample)
    return samples


def make_file(path: Path, video: str, audio: str) -> Path:
    """Half a second of moving picture and sound."""
    with av.open(str(path), "w") as file:
        # Both before anything is written: the head of the file names its streams.
        stream = file.add_stream(video, rate=20) if video else None
        sound = file.add_stream(audio, rate=48_000) if audio else None
        if stream is not None:
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
            stream.codec_context.max_b_frames = 0
            for number in range(10):
                frame = picture(320, 240, number)
                frame.pts, frame.time_base = number, Fraction(1, 20)
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        if sound is not None:
            for number in range(25):
                file.mux(sound.encode(sine(440, number * OPUS_FRAME)))
            file.mux(sound.encode(None))
    return path


async def test_the_tracks_of_a_file_are_in_step_whichever_is_read_first(tmp_path: Path) -> None:
    path = film(tmp_path / "film.webm", ("libvpx", "libopus"), 1.0, [])
    video, audio = await open_media(path)
    shown = [await video.read()]
    pictures = asyncio.create_task(read_all(video))
    for _ in range(3):
        await audio.read()
    sounds = await read_all(audio)
    shown += await pictures
    zero = [sample.captured_at - sample.timestamp / 90_000 for sample in shown]
    assert max(zero) - min(zero) < 0.01
    heard = [sample.captured_at - sample.timestamp / 48_000 for sample in sounds]
    assert heard == pytest.approx([zero[0]] * len(heard), abs=0.01)
    assert sounds[0].timestamp == pytest.approx(0.46 * 48_000, abs=960), "it begins later"


async def test_a_track_that_is_far_behind_goes_on_where_the_others_are_with_a_key_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actr_peer.protocol.media.playback.MAX_BEHIND", 0.3)
    path = film(tmp_path / "film.webm", ("libvpx", "libopus"), 1.0, [])
    video, audio = await open_media(path)
    while (sample := await audio.read()) is not None:
        if sample.timestamp > 0.8 * 48_000:
            break
    first = await video.read()
    assert first is None or first.keyframe
    assert video.dropped > 5


async def test_the_test_pattern_can_be_decoded_and_moves() -> None:
    pattern = TestPattern(width=160, height=90, frames=10, fps=10, speed=0)
    samples = await read_all(pattern)
    assert [sample.timestamp for sample in samples] == [n * 9000 for n in range(len(samples))]
    assert samples[0].keyframe
    decoder = av.CodecContext.create("libvpx", "r")
    pictures = [
        bytes(frame.planes[0])  # type: ignore[union-attr]
        for sample in samples
        for frame in decoder.decode(av.Packet(sample.data))  # type: ignore[attr-defined]
    ]
    assert len(pictures) == len(samples)
    assert len(set(pictures)) == len(pictures)


async def test_a_key_frame_comes_when_it_is_asked_for() -> None:
    pattern = TestPattern(width=160, height=90, frames=10, speed=0)
    for _ in range(4):
        await pattern.read()
    pattern.request_keyframe()
    sample = await pattern.read()
    assert sample is not None
    assert sample.keyframe
    sample = await pattern.read()
    assert sample is not None
    assert not sample.keyframe


async def test_the_tone_is_opus_in_packets_of_20_ms() -> None:
    samples = await read_all(Tone(frames=5, speed=0))
    assert [sample.timestamp for sample in samples] == [0, 960, 1920, 2880, 3840]
    decoder = av.CodecContext.create("libopus", "r")
    for sample in samples:
        decoder.decode(av.Packet(sample.data))  # type: ignore[attr-defined]


async def test_a_read_that_is_cancelled_loses_no_frame() -> None:
    tone = Tone(frames=6, speed=0)
    samples: list[Sample] = []
    for _ in range(30):
        reading = asyncio.gather(tone.read())
        await asyncio.sleep(0)
        if len(samples) % 2:
            reading.cancel()
            await asyncio.wait([reading])
            reading = asyncio.gather(tone.read())
        (sample,) = await reading
        if sample is None:
            break
        samples.append(sample)
    assert [sample.timestamp for sample in samples] == [n * 960 for n in range(6)]


async def test_frames_come_at_the_times_their_timestamps_say() -> None:
    tone = Tone(frames=6, speed=2.0)
    loop = asyncio.get_running_loop()
    await tone.read()
    began = loop.time()
    for _ in range(5):
        await tone.read()
    assert loop.time() - began >= 0.045


async def test_a_live_source_leaves_out_what_nobody_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tone = Tone()
    first = await tone.read()
    assert first is not None
    loop = asyncio.get_running_loop()
    now = loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + 1.0)  # a second in which nobody read
    await tone.read()
    later = await tone.read()
    assert later is not None
    assert later.timestamp >= 45 * 960
    assert tone.dropped >= 45


async def test_vp8_and_opus_files_pass_as_they_are(tmp_path: Path) -> None:
    path = make_file(tmp_path / "a.webm", "libvpx", "libopus")
    video, audio = await open_media(path, speed=0)
    assert (video.kind, video.codec) == ("video", "VP8")
    assert (audio.kind, audio.codec) == ("audio", "opus")
    with av.open(str(path)) as file:
        packets = [bytes(p) for p in file.demux(file.streams.video[0]) if p.pts is not None]
    samples = await read_all(video)
    assert [sample.data for sample in samples] == packets
    assert [sample.timestamp for sample in samples] == [n * 4500 for n in range(10)]
    assert all(sample.keyframe is is_keyframe("VP8", sample.data) for sample in samples)
    assert len(await read_all(audio)) >= 25


async def test_h264_in_mp4_passes_with_start_codes(tmp_path: Path) -> None:
    path = make_file(tmp_path / "a.mp4", "libx264", "")
    (video,) = await open_media(path, speed=0)
    assert video.codec == "H264"
    samples = await read_all(video)
    assert len(samples) == 10
    assert all(sample.data.startswith((b"\0\0\0\1", b"\0\0\1")) for sample in samples)
    assert samples[0].keyframe


async def test_other_codecs_are_encoded_anew(tmp_path: Path) -> None:
    path = make_file(tmp_path / "a.mkv", "mpeg4", "flac")
    video, audio = await open_media(path, speed=0)
    assert (video.codec, audio.codec) == ("VP8", "opus")
    samples = await read_all(video)
    assert len(samples) + video.dropped == 10
    assert samples[0].keyframe
    sounds = await read_all(audio)
    assert [sound.timestamp for sound in sounds] == [n * 960 for n in range(len(sounds))]
    assert len(sounds) >= 24


async def test_a_file_of_sound_alone_has_one_track(tmp_path: Path) -> None:
    (track,) = await open_media(make_file(tmp_path / "a.ogg", "", "libopus"), speed=0)
    assert track.kind == "audio"
    assert track.track_id == "a.ogg/audio"


async def test_a_file_that_cannot_be_read_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give a file that FFmpeg can read"):
        await open_media(tmp_path / "missing.webm")
    noise = tmp_path / "noise.webm"
    noise.write_bytes(bytes(range(256)) * 40)
    with pytest.raises(ConfigError):
        await open_media(noise)


async def test_a_file_that_goes_away_fails_its_track(tmp_path: Path) -> None:
    path = make_file(tmp_path / "a.webm", "libvpx", "")
    (video,) = await open_media(path, speed=0)
    path.unlink()
    with pytest.raises(BrokenError, match=r"a\.webm"):
        await video.read()


def test_opus_is_stereo_at_48_khz() -> None:
    assert opus_encoder().sample_rate == 48_000


@pytest.mark.parametrize("make", [TestPattern, Tone])
async def test_a_source_with_a_number_of_frames_gives_that_many_however_late(
    monkeypatch: pytest.MonkeyPatch, make: type[TestPattern] | type[Tone]
) -> None:
    source = make(frames=5, speed=100)
    loop = asyncio.get_running_loop()
    now, late = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: now() + late)
    got = 0
    while await source.read() is not None:
        got += 1
        late += 1.0  # a second in which nobody read
    assert (got, source.dropped) == (5, 0)
