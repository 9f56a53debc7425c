"""Who was lost a moment ago, and until when that counts."""

from __future__ import annotations

import pytest

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.rpc import doubts as module
from actr_peer.protocol.rpc.doubts import DOUBTED_FOR, Doubts
from actr_peer.protocol.session.wires.policy import WireState

ROOM, OTHER = ActrId("acme", "room", "1"), ActrId("acme", "room", "2")
WEB, SOCKET = WireKind.WEBRTC, WireKind.WEBSOCKET


def test_a_doubt_ends_with_time() -> None:
    doubts = Doubts()
    doubts.note(ROOM, 5.0)
    assert doubts.holds(ROOM, 5.0 + DOUBTED_FOR - 0.1)
    assert not doubts.holds(ROOM, 5.0 + DOUBTED_FOR)
    assert not doubts.holds(OTHER, 5.0)


def test_a_doubt_counts_for_choices_before_it() -> None:
    doubts = Doubts()
    doubts.note(ROOM, 5.0)
    assert doubts.is_newer(ROOM, 4.0)
    assert not doubts.is_newer(ROOM, 5.0)
    assert not doubts.is_newer(OTHER, 4.0)


def test_a_wire_that_worked_and_breaks_begins_a_doubt_and_one_that_comes_up_ends_it() -> None:
    doubts = Doubts()
    doubts.wire(ROOM, WEB, WireState.CONNECTING, 1.0)
    doubts.wire(ROOM, WEB, WireState.FAILED, 1.0)
    assert not doubts.holds(ROOM, 1.0)
    doubts.wire(ROOM, SOCKET, WireState.READY, 2.0)
    doubts.wire(ROOM, SOCKET, WireState.SUSPECT, 3.0)
    assert doubts.holds(ROOM, 3.0)
    doubts.wire(ROOM, SOCKET, WireState.FAILED, 9.0)  # it is no news
    assert not doubts.is_newer(ROOM, 3.0)
    doubts.wire(ROOM, WEB, WireState.READY, 10.0)
    assert not doubts.holds(ROOM, 10.0)


def test_a_new_link_begins_with_no_wire_that_works() -> None:
    doubts = Doubts()
    doubts.wire(ROOM, WEB, WireState.READY, 1.0)
    doubts.gone(ROOM)
    doubts.gone(OTHER)
    doubts.wire(ROOM, WEB, WireState.FAILED, 2.0)
    assert not doubts.holds(ROOM, 2.0)


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DOUBTED", 1)
    doubts = Doubts()
    doubts.note(ROOM, 1.0)
    doubts.note(OTHER, 1.0)
    assert (len(doubts), doubts.holds(OTHER, 1.0)) == (1, True)
