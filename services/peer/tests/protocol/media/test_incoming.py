"""Which tracks of a remote there are, while wires come and go."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import BrokenError, LeftError
from actr_peer.protocol.media import incoming
from actr_peer.protocol.media.incoming import (
    RESUME_SECONDS,
    STEPS,
    Happening,
    IncomingTracks,
    TrackEvent,
    TrackState,
)
from actr_peer.protocol.webrtc.negotiation import TrackKind
from peer_kit.fakes import ALICE

Kind = TrackEvent.Kind
CAM: dict[str, TrackKind] = {"cam": "video"}
BOTH: dict[str, TrackKind] = {"cam": "video", "mic": "audio"}


def told(events: list[TrackEvent]) -> list[tuple[str, Kind]]:
    return sorted(((each.track_id, each.kind) for each in events), key=lambda pair: pair[0])


def test_every_state_says_what_each_happening_means() -> None:
    meant = {
        (state, what): STEPS[state, what][0]
        for state, what in product(TrackState, Happening)
        if (state, what) in STEPS
    }
    assert meant == {
        (TrackState.LIVE, Happening.UNCARRIED): TrackState.SUSPENDED,
        (TrackState.LIVE, Happening.TAKEN_AWAY): TrackState.ENDED,
        (TrackState.LIVE, Happening.GONE): TrackState.ENDED,
        (TrackState.SUSPENDED, Happening.CARRIED): TrackState.LIVE,
        (TrackState.SUSPENDED, Happening.OVERDUE): TrackState.ENDED,
        (TrackState.SUSPENDED, Happening.GONE): TrackState.ENDED,
    }


def test_a_track_begins_and_ends_with_the_description() -> None:
    tracks = IncomingTracks(ALICE)
    assert not tracks
    assert told(tracks.carried("wire", BOTH, 0.0)) == [("cam", Kind.BEGAN), ("mic", Kind.BEGAN)]
    assert tracks.find("mic") == (TrackState.LIVE, "audio")
    assert tracks.carried("wire", BOTH, 1.0) == []
    (end,) = tracks.carried("wire", CAM, 2.0)
    assert (end.track_id, end.kind, end.error) == ("mic", Kind.ENDED, None)
    assert tracks.find("mic") is None
    assert tracks


def test_a_track_is_suspended_with_its_wire_and_goes_on_with_the_next() -> None:
    tracks = IncomingTracks(ALICE)
    tracks.carried(1, CAM, 0.0)
    assert told(tracks.lost(1, 1.0)) == [("cam", Kind.SUSPENDED)]
    assert tracks.due is None  # there is no wire that it could come on
    assert tracks.carried(2, {}, 100.0) == []
    assert tracks.due == 100.0 + RESUME_SECONDS
    assert tracks.carried(2, {}, 101.0) == []
    assert tracks.due == 100.0 + RESUME_SECONDS
    assert told(tracks.carried(2, CAM, 102.0)) == [("cam", Kind.RESUMED)]
    assert tracks.due is None


def test_one_that_does_not_come_back_on_the_next_wire_has_ended() -> None:
    tracks = IncomingTracks(ALICE)
    tracks.carried(1, CAM, 0.0)
    tracks.lost(1, 1.0)
    tracks.carried(2, {}, 2.0)
    assert tracks.expire(2.0 + RESUME_SECONDS - 0.1) == []
    (end,) = tracks.expire(2.0 + RESUME_SECONDS)
    assert (end.kind, end.reason) == (Kind.ENDED, "it did not come back within 10 s")
    assert tracks.find("cam") is None


@pytest.mark.parametrize("order", [["from", "to"], ["to", "from"]])
def test_a_track_that_moves_to_another_wire_does_not_end(order: list[str]) -> None:
    """Who dialled at the same time as this side may have the two in another order."""
    tracks = IncomingTracks(ALICE)
    for wire in order:
        tracks.carried(wire, {}, 0.0)
    tracks.carried("from", CAM, 1.0)
    assert told(tracks.carried("from", {}, 2.0)) == [("cam", Kind.SUSPENDED)]
    assert told(tracks.carried("to", CAM, 3.0)) == [("cam", Kind.RESUMED)]
    assert tracks.lost("from", 4.0) == []


def test_two_wires_that_carry_a_track_carry_it_once() -> None:
    tracks = IncomingTracks(ALICE)
    tracks.carried("old", CAM, 0.0)
    assert tracks.carried("new", CAM, 1.0) == []
    assert tracks.carried("old", {}, 2.0) == []
    assert tracks.lost("old", 3.0) == []
    assert told(tracks.lost("new", 4.0)) == [("cam", Kind.SUSPENDED)]
    assert tracks.lost("new", 5.0) == []


def test_a_lost_wire_suspends_nothing_that_another_carries() -> None:
    tracks = IncomingTracks(ALICE)
    tracks.carried("old", BOTH, 0.0)
    tracks.carried("new", CAM, 1.0)
    assert told(tracks.lost("old", 2.0)) == [("mic", Kind.SUSPENDED)]


def test_all_tracks_end_with_their_remote() -> None:
    tracks = IncomingTracks(ALICE)
    tracks.carried(1, CAM, 0.0)
    tracks.lost(1, 1.0)
    tracks.carried(2, {"mic": "audio"}, 2.0)
    ends = tracks.gone(BrokenError("it restarted"))
    assert told(ends) == [("cam", Kind.ENDED), ("mic", Kind.ENDED)]
    assert {str(each.error) for each in ends} == {"it restarted"}
    assert not tracks


def test_tracks_of_one_that_left_in_good_order_end_without_an_error() -> None:
    tracks = IncomingTracks(ALICE)
    tracks.carried(1, CAM, 0.0)
    (end,) = tracks.gone(LeftError("it left"))
    assert (end.kind, end.reason, end.error) == (Kind.ENDED, "it left", None)


def test_tracks_of_one_remote_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "MAX_KNOWN", 1)
    tracks = IncomingTracks(ALICE)
    assert len(tracks.carried(1, BOTH, 0.0)) == 1
    assert len(tracks.lost(1, 1.0)) == 1


Step = tuple[str, int, frozenset[str]]
STEP = st.tuples(
    st.sampled_from(["carried", "lost", "expire", "gone"]),
    st.integers(0, 2),
    st.frozensets(st.sampled_from("ab")),
)


@given(st.lists(STEP, max_size=30))
def test_what_is_told_is_a_life_whatever_happens(steps: list[Step]) -> None:
    tracks = IncomingTracks(ALICE)
    last: dict[str, Kind] = {}
    after = {
        None: {Kind.BEGAN},
        Kind.BEGAN: {Kind.SUSPENDED, Kind.ENDED},
        Kind.SUSPENDED: {Kind.RESUMED, Kind.ENDED},
        Kind.RESUMED: {Kind.SUSPENDED, Kind.ENDED},
        Kind.ENDED: {Kind.BEGAN},
    }
    for now, (what, wire, ids) in enumerate(steps):
        match what:
            case "carried":
                events = tracks.carried(wire, dict.fromkeys(ids, "video"), now)
            case "lost":
                events = tracks.lost(wire, now)
            case "expire":
                events = tracks.expire(now)
            case _:
                events = tracks.gone(BrokenError("gone"))
        for event in events:
            assert event.kind in after[last.get(event.track_id)]
            last[event.track_id] = event.kind
    is_there = {key: tracks.find(key) is not None for key in last}
    assert is_there == {key: kind is not Kind.ENDED for key, kind in last.items()}
