"""Changes of wires: remembered, read from where one left off, waited for."""

from __future__ import annotations

import asyncio

from actr_peer.node.observe.changes import REMEMBERED, Changes
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.wires.policy import WireState

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
