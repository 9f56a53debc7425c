"""Changes of wires: remembered, read from where one left off, waited for."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from actr_peer.errors import ClosedError, LeftError, PeerError
from actr_peer.node.observe.changes import REMEMBERED, Changes
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType, WireKind
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.transport.link_view import LaneView, LinkView

ANN = ActrId("acme", "ann", "1")
LONG = 300.0
"""Seconds that no test takes."""


def noted(count: int) -> Changes:
    changes = Changes(clock=lambda: 7.0)
    for number in range(count):
        state = WireState.FAILED if number % 2 else WireState.READY
        changes.note(ANN, WireKind.WEBRTC, state)
    return changes


def test_who_reads_hears_of_what_came_since_it_last_read() -> None:
    changes = noted(1)
    assert [change.state for change in changes.since(0)] == [WireState.READY]
    changes.note(ANN, WireKind.WEBSOCKET, WireState.SUSPECT)
    (change,) = changes.since(1)
    assert (change.at, change.remote, change.kind) == (7.0, ANN, WireKind.WEBSOCKET)
    assert changes.since(2) == ()


def test_old_changes_are_forgotten_and_still_counted() -> None:
    changes = noted(REMEMBERED + 3)
    assert changes.count == REMEMBERED + 3
    assert len(changes.since(0)) == REMEMBERED
    assert len(changes.since(REMEMBERED)) == 3


async def test_who_waits_is_woken_by_the_next_change() -> None:
    changes = noted(2)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(changes.until(2, LONG))
        await asyncio.sleep(0)
        changes.note(ANN, WireKind.WEBRTC, WireState.READY)


async def test_what_came_already_is_not_waited_for() -> None:
    async with asyncio.timeout(10):
        await noted(2).until(1, LONG)


async def test_where_nothing_changes_the_time_ends() -> None:
    async with asyncio.timeout(10):
        await noted(2).until(2, 0.001)


LANE = LaneView(1, 2, 3, 4, 5, 6, 7, 8, frames=9, unfinished=10)
RPC = replace(LANE, replies=LANE)


def gone(changes: Changes, error: PeerError) -> None:
    lanes = {PayloadType.RPC_RELIABLE: RPC, PayloadType.STREAM_RELIABLE: LANE}
    changes.gone(LinkView(ANN, (), None, lanes), error)


def test_what_links_have_counted_stays_when_they_are_gone() -> None:
    changes = noted(0)
    gone(changes, LeftError("gone"))
    gone(changes, LeftError("gone"))
    gone(changes, ClosedError("gone"))
    assert changes.ended == {"LeftError": 2, "ClosedError": 1}
    thrice = LaneView(3, 6, 9, 12, 15, 0, 0, 0, frames=27, unfinished=30)
    assert changes.lanes == {
        PayloadType.RPC_RELIABLE: replace(thrice, replies=thrice),
        PayloadType.STREAM_RELIABLE: thrice,
    }


def test_changes_are_counted_by_kind_and_state() -> None:
    assert noted(5).by_state == {
        (WireKind.WEBRTC, WireState.READY): 3,
        (WireKind.WEBRTC, WireState.FAILED): 2,
    }


def test_a_link_without_a_wire_is_in_a_gap_until_it_is_gone() -> None:
    seconds = iter((1.0, 2.0, 2.5, 3.0))
    changes = Changes(watch=lambda: next(seconds))
    for state in (WireState.READY, WireState.SUSPECT, WireState.READY, WireState.FAILED):
        changes.note(ANN, WireKind.WEBSOCKET, state)
    assert (changes.gaps.durations.view().seconds, len(changes.gaps)) == (0.5, 1)
    gone(changes, ClosedError("gone"))
    assert len(changes.gaps) == 0
