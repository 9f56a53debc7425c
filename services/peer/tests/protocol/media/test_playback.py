from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.media.playback import MAX_BEHIND, MAX_LAG, Place, Playback


def read(place: Place, at: float, now: float) -> float:
    """Read what stands at ``at`` seconds; when it is had."""
    place.enter(now)
    had = now + max(0.0, place.wait(at, now))
    place.leave(had)
    return had


@given(st.lists(st.floats(0, 0.4), min_size=1, max_size=50), st.floats(0.5, 2))
def test_what_is_read_in_time_comes_when_it_is_due(pauses: list[float], speed: float) -> None:
    place, now = Place(Playback(speed)), 100.0
    for number, pause in enumerate(pauses):
        had = read(place, number * 0.5 * speed, now)
        assert had == pytest.approx(max(now, 100 + number * 0.5))
        now = had + pause


def test_one_that_begins_later_hurries_and_is_then_in_step() -> None:
    playback = Playback(1.0)
    picture, sound = Place(playback), Place(playback)
    for number in range(31):
        had = read(picture, number * 0.1, 100 + number * 0.1)
    now = had
    for number in range(40):
        now = read(sound, number * 0.1, now)
        assert now == pytest.approx(max(103.0, 100 + number * 0.1))
    assert playback.due(0.0) == 100.0, "nothing was put off for it"


def test_one_that_is_far_behind_leaves_out_what_the_others_have_passed() -> None:
    playback = Playback(1.0)
    picture, sound = Place(playback), Place(playback)
    picture.enter(100.0)
    sound.enter(100.0 + MAX_BEHIND + 1)
    assert sound.is_past(0.5, 100.0 + MAX_BEHIND + 1)
    assert not sound.is_past(1.5, 100.0 + MAX_BEHIND + 1)


def test_the_file_stands_still_while_nobody_reads() -> None:
    playback = Playback(1.0)
    picture, sound = Place(playback), Place(playback)
    read(picture, 0.0, 100.0)
    read(sound, 0.0, 100.0)
    assert read(sound, 0.1, 130.0) == pytest.approx(130.1)
    assert read(picture, 0.1, 130.0) == pytest.approx(130.1)


def test_the_others_wait_for_one_whose_path_is_slow() -> None:
    playback = Playback(1.0)
    picture, sound = Place(playback), Place(playback)
    read(picture, 0.0, 100.0)
    read(sound, 0.0, 100.0)
    sound.enter(100.1)  # and waits
    assert read(picture, 0.1, 100.1 + MAX_LAG - 0.01) == pytest.approx(100.1 + MAX_LAG - 0.01)
    late = 100.2 + MAX_LAG + 0.1
    assert read(picture, 0.2, late) == late
    assert playback.due(0.2) == pytest.approx(late)
