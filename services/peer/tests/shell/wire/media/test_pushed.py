from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actr_peer.errors import ClosedError, ConfigError, LimitError
from actr_peer.protocol.media.frames import MAX_SAMPLE_BYTES, Sample
from actr_peer.wire.media.pushed import SampleTrack
from actr_peer.wire.webrtc.source import guard
from peer_kit.fakes import turns


def sample(number: int, *, keyframe: bool = False) -> Sample:
    return Sample(b"%d" % number, number * 3000, keyframe)


async def drained(track: SampleTrack) -> list[int]:
    track.end()
    got = []
    while (taken := await track.read()) is not None:
        got.append(int(taken.data))
    return got


async def test_samples_leave_in_order_and_the_end_comes_after_them() -> None:
    track = SampleTrack("cam")
    assert await track.send(sample(0))
    assert await track.send(sample(1))
    assert await drained(track) == [0, 1]
    assert await track.read() is None
    with pytest.raises(ClosedError):
        await track.send(sample(2))


async def test_a_track_has_what_publishing_wants_before_its_first_sample() -> None:
    guarded = guard(SampleTrack("mic", kind="audio", codec="opus"))
    assert (guarded.track_id, guarded.kind, guarded.codec) == ("mic", "audio", "opus")


async def test_sending_waits_while_enough_samples_wait() -> None:
    track = SampleTrack("cam", max_waiting=1)
    await track.send(sample(0))
    sending = asyncio.gather(track.send(sample(1)))
    await turns(3)
    assert not sending.done()
    assert (await track.read()) == sample(0)
    assert await sending == [True]
    assert track.dropped == 0


async def test_a_send_that_is_cancelled_while_it_waits_sends_nothing() -> None:
    track = SampleTrack("cam", max_waiting=1)
    await track.send(sample(0))
    sending = asyncio.gather(track.send(sample(1)))
    await turns(3)
    sending.cancel()
    await asyncio.wait([sending])
    assert await drained(track) == [0]


async def test_who_waits_to_send_learns_of_the_end() -> None:
    track = SampleTrack("cam", max_waiting=1)
    await track.send(sample(0))
    sending = asyncio.gather(track.send(sample(1)))
    await turns(3)
    track.end()
    with pytest.raises(ClosedError):
        await sending


async def test_live_video_drops_up_to_the_next_key_frame_and_asks_for_one() -> None:
    track = SampleTrack("cam", live=True)
    asked: list[int] = []
    track.on_keyframe = lambda: asked.append(1)
    for number in range(5):
        await track.send(sample(number, keyframe=number == 0))
    assert asked == [1]
    assert await track.read() == sample(0, keyframe=True)
    assert not await track.send(sample(5)), "it depends on what was dropped"
    assert await track.send(sample(6, keyframe=True))
    assert await drained(track) == [1, 6]
    assert track.dropped == 4


async def test_a_live_key_frame_takes_the_place_of_what_waits() -> None:
    track = SampleTrack("cam", live=True)
    for number in range(2):
        await track.send(sample(number, keyframe=number == 0))
    assert not await track.send(sample(2, keyframe=True))
    assert await drained(track) == [2]
    assert track.dropped == 2


async def test_live_sound_drops_the_oldest() -> None:
    track = SampleTrack("mic", kind="audio", codec="opus", live=True)
    for number in range(5):
        await track.send(sample(number))
    assert await drained(track) == [3, 4]
    assert track.dropped == 3


async def test_the_estimate_reaches_the_producer_and_who_fails_on_it_harms_nothing() -> None:
    track = SampleTrack("cam")
    told: list[float] = []
    track.on_bitrate = told.append
    guarded = guard(track)
    guarded.bitrate_estimated(1_500_000.0)
    assert (track.bit_rate, told) == (1_500_000.0, [1_500_000.0])
    track.on_bitrate = lambda bits: 1 / 0  # type: ignore[assignment,return-value]
    guarded.bitrate_estimated(2.0)


def test_at_least_one_sample_waits() -> None:
    with pytest.raises(ConfigError):
        SampleTrack("cam", max_waiting=0)


async def test_who_sends_learns_that_the_publication_was_stopped_and_may_publish_again() -> None:
    track = SampleTrack("cam", max_waiting=1)
    guarded = guard(track)
    await track.send(sample(0))
    sending = asyncio.gather(track.send(sample(1)))
    await turns(3)
    guarded.unpublished()
    with pytest.raises(ClosedError, match="published no longer"):
        await sending
    with pytest.raises(ClosedError):
        await track.send(sample(1))
    guarded.published()
    assert await drained(track) == [0]


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(None, id="nothing"),
        pytest.param(b"bytes", id="bytes"),
        pytest.param(Sample("text", 1), id="text"),  # type: ignore[arg-type]
        pytest.param(Sample(b"x", 1.5), id="half a tick"),  # type: ignore[arg-type]
        pytest.param(Sample(b"x", 1, captured_at=float("nan")), id="no time"),
        pytest.param(Sample(b"x", 1, captured_at="now"), id="a time in words"),  # type: ignore[arg-type]
    ],
)
@pytest.mark.parametrize("live", [False, True])
async def test_what_is_no_sample_is_refused_and_the_track_goes_on(what: Any, *, live: bool) -> None:
    track = SampleTrack("camera", live=live)
    with pytest.raises(ConfigError, match="track camera"):
        await track.send(what)
    await track.send(sample(1))
    assert (await track.read()) == sample(1)


async def test_a_sample_that_no_receiver_takes_is_refused() -> None:
    track = SampleTrack("camera")
    with pytest.raises(LimitError, match="bytes of a sample"):
        await track.send(Sample(bytes(MAX_SAMPLE_BYTES + 1), 0))
    await track.send(Sample(bytes(MAX_SAMPLE_BYTES), 0))
