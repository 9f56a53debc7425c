from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.media.frames import MediaFrame
from actr_peer.protocol.media.timeline import (
    CLOCK_SECONDS,
    MAX_DRIFT,
    MAX_HELD_BYTES,
    TRACK_SECONDS,
    Line,
    Placed,
    Timeline,
)

CLOCKS = {"VP8": 90_000, "OPUS": 48_000}
RATE = {"video": 90_000, "audio": 48_000}


def timeline() -> Timeline:
    return Timeline(CLOCKS)


def frame(
    kind: str, seconds: float, sent_at: float | None = None, data: bytes = b"x"
) -> MediaFrame:
    """A frame whose timestamp is ``seconds`` after the track's own zero."""
    codec = "VP8" if kind == "video" else "opus"
    ticks = round(seconds * RATE[kind]) % 2**32
    return MediaFrame(data, ticks, codec, kind, kind, True, 0, 0, sent_at)  # type: ignore[arg-type]


def times(placed: list[Placed]) -> list[float]:
    return [each.ticks / CLOCKS[each.frame.codec.upper()] for each in placed]


def begun(lines: Timeline, sent_at: float | None = 50.0) -> tuple[Line, Line]:
    """Picture and sound that began at the same time, at 100 s here."""
    picture, sound = lines.add("one"), lines.add("one")
    assert lines.take(picture, frame("video", 7.0, sent_at), 100.0) == []
    lines.take(sound, frame("audio", 3.0, sent_at), 100.0)
    return picture, sound


def test_tracks_stand_as_their_sender_took_them_whatever_their_timestamps_and_arrival() -> None:
    lines = timeline()
    picture, sound = lines.add("one"), lines.add("one")
    assert lines.take(picture, frame("video", 9999.0), 100.0) == []
    assert lines.take(picture, frame("video", 9999.1, 50.1), 100.1) == []
    placed = lines.take(sound, frame("audio", 3.0, 50.4), 101.5)
    assert [each.track for each in placed] == [0, 0, 1]
    assert times(placed) == pytest.approx([0.0, 0.1, 0.4], abs=1e-4)
    assert lines.is_in_step
    assert times(lines.take(sound, frame("audio", 3.02, 50.42), 101.6)) == pytest.approx([0.42])


def test_tracks_of_which_nothing_is_said_stand_as_they_arrived() -> None:
    lines = timeline()
    picture, sound = lines.add("one"), lines.add("one")
    assert lines.take(picture, frame("video", 0.0), 100.0) == []
    assert lines.take(sound, frame("audio", 0.0), 100.3) == []
    placed = lines.take(sound, frame("audio", 0.1), 100.1 + CLOCK_SECONDS)
    assert times(placed) == pytest.approx([0.0, 0.3, 0.4], abs=1e-4)
    assert not lines.is_in_step


def test_senders_whose_clocks_differ_are_in_step_by_their_soonest_arrival() -> None:
    lines = timeline()
    here, there = lines.add("one"), lines.add("other")
    assert lines.take(here, frame("video", 0.0, 50.0), 100.0) == []
    placed = lines.take(there, frame("audio", 0.0, 9_000_000.0), 100.5)
    assert times(placed) == pytest.approx([0.0, 0.5], abs=1e-4)


@pytest.mark.parametrize("ends", [False, True])
def test_the_file_begins_without_a_track_that_does_not_come(ends: bool) -> None:
    lines = timeline()
    picture, sound = lines.add("one"), lines.add("one")
    assert lines.take(picture, frame("video", 0.0, 50.0), 100.0) == []
    if ends:
        assert len(lines.end(sound, 100.1)) == 1
    else:
        assert lines.take(picture, frame("video", 1.0, 51.0), 101.0) == []
        assert len(lines.take(picture, frame("video", 11.0, 61.0), 100.1 + TRACK_SECONDS)) == 3
    assert lines.has_begun
    assert (picture.index, sound.index) == (0, None)
    assert lines.take(sound, frame("audio", 0.0, 62.0), 112.0) == []


def test_what_waits_is_bounded() -> None:
    lines = timeline()
    picture = lines.add("one")
    lines.add("one")
    half = bytes(MAX_HELD_BYTES // 2)
    assert lines.take(picture, frame("video", 0.0, data=half), 100.0) == []
    assert lines.take(picture, frame("video", 0.1, data=half), 100.1) == []
    assert len(lines.take(picture, frame("video", 0.2), 100.2)) == 3


def test_what_waited_for_a_beginning_is_written_at_the_end() -> None:
    lines = timeline()
    assert lines.finish() == []
    picture = lines.add("one")
    lines.add("one")
    lines.take(picture, frame("video", 0.0), 100.0)
    assert len(lines.finish()) == 1
    assert lines.finish() == []


def test_a_track_that_ends_before_all_have_come_begins_nothing() -> None:
    lines = timeline()
    sound = lines.add("one")
    lines.add("one")
    assert lines.end(sound, 100.0) == []


def test_a_hole_that_the_clock_tells_is_a_hole_in_the_file() -> None:
    """A track is suspended for 3 s; its timestamps go on as if it had not been."""
    lines = timeline()
    _, sound = begun(lines)
    assert times(lines.take(sound, frame("audio", 3.02), 103.02)) == pytest.approx([0.02])
    placed = lines.take(sound, frame("audio", 3.04, 53.04), 103.04)
    assert times(placed) == pytest.approx([3.04])
    assert times(lines.take(sound, frame("audio", 3.06, 53.06), 103.06)) == pytest.approx([3.06])


def test_a_clock_that_goes_back_takes_the_track_with_it() -> None:
    lines = timeline()
    picture, sound = begun(lines)
    assert lines.take(sound, frame("audio", 4.0, 51.0), 101.0)[0].ticks == 48_000
    assert lines.take(sound, frame("audio", 4.02, 50.92), 101.02) == []
    assert lines.skipped == 1
    assert times(lines.take(sound, frame("audio", 4.2, 51.1), 101.2)) == pytest.approx([1.1])
    assert lines.take(picture, frame("video", 8.0, 51.0), 101.0)[0].ticks == 90_000
    back = lines.take(picture, frame("video", 8.04, 50.9), 101.04)
    assert [each.ticks for each in back] == [90_090], "a picture is never left out"


@given(st.lists(st.floats(-MAX_DRIFT * 0.4, MAX_DRIFT * 0.4), max_size=50))
def test_a_clock_that_trembles_moves_nothing(tremble: list[float]) -> None:
    lines = timeline()
    _, sound = begun(lines)
    for number, by in enumerate(tremble, 1):
        at = number * 0.02
        placed = lines.take(sound, frame("audio", 3.0 + at, 50.0 + at + by), 100.0 + at)
        assert times(placed) == pytest.approx([at], abs=1e-4)


def test_a_clock_that_somebody_has_set_is_believed_no_longer() -> None:
    lines = timeline()
    _, sound = begun(lines)
    placed = lines.take(sound, frame("audio", 3.02, 3650.02), 100.02)
    assert times(placed) == pytest.approx([0.02])


def test_timestamps_that_begin_anew_go_on_by_the_arrival() -> None:
    lines = timeline()
    picture, _ = begun(lines, sent_at=None)
    lines.finish()
    for seconds, now, at in ((7.1, 100.1, 0.1), (2.0, 101.1, 1.1), (2e4, 102.1, 2.1)):
        assert times(lines.take(picture, frame("video", seconds), now)) == pytest.approx([at])


@given(
    st.lists(
        st.tuples(st.sampled_from(["video", "audio"]), st.floats(-30, 30), st.floats(-5, 5)),
        max_size=60,
    )
)
def test_places_of_a_track_only_grow_whatever_its_sender_says(
    steps: list[tuple[str, float, float]],
) -> None:
    lines = timeline()
    tracks = dict(zip(("video", "audio"), begun(lines), strict=True))
    at = {"video": 7.0, "audio": 3.0}
    last = {"video": -1, "audio": -1}
    now = 100.0
    for kind, step, drift in steps:
        now += abs(step) / 10
        at[kind] += step
        for each in lines.take(tracks[kind], frame(kind, at[kind], now - 50 + drift), now):
            if each.frame.kind != kind:
                continue
            assert each.ticks > last[kind]
            last[kind] = each.ticks
