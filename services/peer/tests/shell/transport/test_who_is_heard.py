"""Whose wires a link hears: those of the present process of the far side, until it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from actr_peer.errors import UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session import frames
from actr_peer.protocol.session.budget import Budget
from actr_peer.protocol.session.frames import Hello
from actr_peer.protocol.session.session import Session
from actr_peer.protocol.session.wires.ends import CONTROL, News, Refused, Restarted
from actr_peer.testing.wires import MemoryWire, join
from actr_peer.transport.link import Link, LinkSetup
from actr_peer.transport.pool import Pool, WireSetup
from actr_peer.wire.base import Wire
from peer_kit.links import ADA, BOB, Heard

WS = WireKind.WEBSOCKET


def hello(incarnation: int) -> bytes:
    """The greeting of a far process that knows nothing of this one."""
    session = Session(incarnation, prefer=[WS])
    session.open(1, WS, 0.0, was_dialled=True)
    item = session.take(1, 0.0, is_full=False)
    assert item is not None
    assert isinstance(next(iter(frames.decode(item[1]))), Hello)
    return item[1]


def greeted(session: Session, wire: int, incarnation: int) -> list[News]:
    """Open a wire, have it greeted, and return what there is to hear of it."""
    session.open(wire, WS, 0.0, was_dialled=False)
    session.receive(wire, CONTROL, hello(incarnation), 0.0)
    news = list(session.news)
    session.news.clear()
    return news


def test_an_incarnation_that_was_replaced_does_not_come_back_on_a_new_wire() -> None:
    session = Session(1, prefer=[WS])
    greeted(session, 1, 100)
    assert any(isinstance(one, Restarted) for one in greeted(session, 2, 200))
    assert greeted(session, 3, 100) == [Refused(3)]
    assert session.remote_incarnation == 200
    assert 3 not in session.ends


def test_a_wire_that_was_opened_before_the_present_process_came_tells_of_no_other() -> None:
    session = Session(1, prefer=[WS])
    session.open(1, WS, 0.0, was_dialled=False)
    greeted(session, 2, 200)
    session.receive(1, CONTROL, hello(300), 0.0)
    assert session.remote_incarnation == 200
    assert Refused(1) in session.news


class Tasks:
    """Starts tasks, and waits for all of them."""

    def __init__(self) -> None:
        self.started: list[asyncio.Task[None]] = []

    def start(self, name: str, coro: Coroutine[Any, Any, None], **_: object) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coro)
        self.started.append(task)
        return task


def link_of(tasks: Tasks) -> Link:
    setup = LinkSetup(
        self_id=ADA,
        dialers={},
        sink=Heard(),
        prefer=(WS,),
        start=tasks.start,
        removed=lambda link: None,
        in_use=lambda link: False,
        incarnation=lambda: 2,
        budget=Budget(),
    )
    return Link(BOB, setup, Session(1, prefer=[WS]))


async def test_a_refused_wire_is_closed() -> None:
    """The far process restarts: its wire is heard, and the one of its predecessor is closed."""
    link = link_of(Tasks())
    wires = [join(ADA, BOB) for _ in range(2)]
    for (near, _), incarnation in zip(wires, (100, 200), strict=True):
        link.add(near)
        link._bundle.message(near, CONTROL, hello(incarnation))
    (old, _), (new, _) = wires
    assert not old.is_open
    assert new.is_open
    assert link.wire(WS) is new
    link.fail(UnreachableError("x", "the test is over"))


class Owner:
    """Hears of a pool's wires."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []

    def dialled(self, wire: Wire) -> None:
        self.wires.append(wire)

    def exhausted(self, why: str) -> None:
        return

    def slot_changed(self, kind: WireKind) -> None:
        return

    def attend(self) -> None:
        return


class Dialling:
    """A pool whose dial ends when the test says so, though it was cancelled."""

    def __init__(self) -> None:
        self.owner = Owner()
        self.tasks = Tasks()
        self.wire: MemoryWire = join(ADA, BOB)[0]
        self.count = 0
        self.may_end = asyncio.Event()
        setup = WireSetup(
            self_id=ADA,
            dialers={WS: self.dial},
            prefer=[WS],
            start=self.tasks.start,
            budget=Budget(),
        )
        self.pool = Pool(BOB, Session(1, prefer=[WS]), self.owner, setup)

    async def dial(self, remote: ActrId) -> Wire:
        self.count += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:  # the handshake ended in the same turn of the loop
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        return self.wire


async def test_a_wire_that_comes_up_after_the_close_is_aborted() -> None:
    dialling = Dialling()
    dialling.pool.mend(0.0)
    await asyncio.sleep(0)
    dialling.pool.close()
    await asyncio.gather(*dialling.tasks.started)
    assert dialling.count == 1
    assert dialling.owner.wires == []
    assert not dialling.wire.is_open


async def test_a_closed_pool_dials_no_more() -> None:
    dialling = Dialling()
    dialling.pool.close()
    dialling.pool.mend(0.0)
    assert dialling.tasks.started == []
