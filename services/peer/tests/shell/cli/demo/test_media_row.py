"""The media row of the demo."""

from __future__ import annotations

import pytest

from actr_peer.cli.demo.media_row import RTP_TIME, delays, media_row
from actr_peer.cli.demo.report import MediaSeen, MediaSent

MS = 1_000_000  # nanoseconds


def sent(*timestamps: int) -> tuple[tuple[int, int], ...]:
    return tuple((timestamp, timestamp * MS) for timestamp in timestamps)


def received(*timestamps: int, offset: int = 0, delay: int = 5) -> tuple[tuple[int, int], ...]:
    return tuple(
        ((timestamp + offset) % RTP_TIME, (timestamp + delay) * MS) for timestamp in timestamps
    )


@pytest.mark.parametrize(
    "offset", [0, 12_345, RTP_TIME - 40], ids=["none", "some", "wraps in the middle"]
)
def test_the_random_start_of_rtp_time_does_not_matter(offset: int) -> None:
    found = delays(sent(0, 33, 66, 99), received(0, 33, 66, 99, offset=offset))
    assert found == [0.005] * 4


def test_a_lost_first_frame_does_not_shift_the_others() -> None:
    assert delays(sent(0, 33, 70, 99), received(33, 70, 99, offset=7)) == [0.005] * 3


def test_nothing_received_has_no_delays() -> None:
    assert delays(sent(0, 33), ()) == []


def seen(*timestamps: int) -> MediaSeen:
    return MediaSeen(
        track_id="camera", kind="video", codec="VP8", frames=received(*timestamps), bytes=700
    )


def told(*timestamps: int) -> MediaSent:
    return MediaSent(track_id="camera", wire="webrtc", frames=sent(*timestamps), bytes=800)


def test_a_whole_track_is_ok() -> None:
    row = media_row([told(0, 33)], {"camera": seen(0, 33)})
    assert row is not None
    assert (row.ok, row.messages, row.bytes, row.p50_ms) == (True, 2, 700, 5.0)
    assert row.result == "2 of 2 VP8 video frames"


def test_a_track_that_never_came_is_not_ok() -> None:
    row = media_row([told(0, 33)], {})
    assert row is not None
    assert (row.ok, row.p50_ms, row.result) == (False, None, "camera: none of 2 frames")


def test_a_track_that_came_in_half_is_not_ok() -> None:
    row = media_row([told(0, 33)], {"camera": seen(0)})
    assert row is not None
    assert not row.ok


def test_no_track_is_no_row() -> None:
    assert media_row([], {}) is None
