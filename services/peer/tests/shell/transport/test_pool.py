"""How many dials are at work at once, and whose turn is next."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from actr_peer.transport import pool
from actr_peer.transport.pool import DIALS_AT_ONCE, Turns


class Dials:
    """Tasks that dial, and end when told."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.begun: list[int] = []
        self.ends: list[asyncio.Event] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def begin(self, count: int) -> None:
        for _ in range(count):
            end = asyncio.Event()
            self.ends.append(end)
            work = self._dial(len(self.tasks), end)
            self.tasks.append(asyncio.get_running_loop().create_task(work))
        await settle()

    async def _dial(self, number: int, end: asyncio.Event) -> None:
        async with self.turns.turn():
            self.begun.append(number)
            await end.wait()

    async def end(self, *numbers: int) -> None:
        for number in numbers:
            self.ends[number].set()
            await settle()

    async def cancel(self, number: int) -> None:
        self.tasks[number].cancel()
        await settle()

    async def all_end(self) -> None:
        for end in self.ends:
            end.set()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def long_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "TURN_SECONDS", 3600.0)


async def test_so_many_dials_are_at_work_and_no_more() -> None:
    dials = Dials()
    await dials.begin(DIALS_AT_ONCE + 3)
    assert dials.begun == list(range(DIALS_AT_ONCE))
    await dials.end(0)
    assert len(dials.begun) == DIALS_AT_ONCE + 1
    await dials.all_end()
    assert len(dials.begun) == DIALS_AT_ONCE + 3


async def test_neither_the_first_nor_the_last_of_those_who_wait_is_held_up() -> None:
    dials = Dials()
    first, last = DIALS_AT_ONCE, DIALS_AT_ONCE + 49
    await dials.begin(last + 1)
    await dials.end(0, 1, 2)
    assert dials.begun[DIALS_AT_ONCE:] == [first, last, first + 1]
    await dials.all_end()


async def test_a_dial_that_waits_for_the_network_keeps_no_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "TURN_SECONDS", 0.0)
    dials = Dials()
    await dials.begin(DIALS_AT_ONCE + 1)
    await settle()
    assert dials.begun[-1] == DIALS_AT_ONCE
    await dials.all_end()
    monkeypatch.setattr(pool, "TURN_SECONDS", 3600.0)
    await dials.begin(DIALS_AT_ONCE + 1)  # as many as before, and not twice as many
    assert len(dials.begun) == 2 * DIALS_AT_ONCE + 1
    await dials.all_end()


async def test_who_gives_up_takes_nobody_s_turn() -> None:
    dials = Dials()
    waiting = DIALS_AT_ONCE
    await dials.begin(waiting + 3)
    await dials.cancel(waiting)
    await dials.end(0)
    assert dials.begun[-1] == waiting + 2
    dials.ends[1].set()
    await asyncio.sleep(0)  # its turn is another's now, who has not begun
    dials.tasks[waiting + 1].cancel()
    await settle()
    await dials.begin(1)
    assert dials.begun[-1] == waiting + 3
    await dials.all_end()


async def test_a_dial_that_fails_ends_its_turn() -> None:
    turns = Turns()
    for _ in range(DIALS_AT_ONCE + 1):
        with pytest.raises(ValueError, match="broken"):
            async with turns.turn():
                raise ValueError("broken")
    async with AsyncExitStack() as stack:
        for _ in range(DIALS_AT_ONCE):
            await stack.enter_async_context(turns.turn())
