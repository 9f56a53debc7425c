"""The task in which an actor lives, without the actor: starts, ends, and failures of blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import pytest

from actr_peer.errors import BusyError, ClosedError, LocalProtocolError
from actr_peer.node.supervisor import Supervisor
from actr_peer.tasks import Tasks, launch


async def fail() -> None:
    raise ZeroDivisionError("a bug")


class Stubborn:
    """Waits, whatever anybody asks, until the test lets it go."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.has_ended = asyncio.Event()

    async def hang(self) -> None:
        while not self.released.is_set():
            with suppress(asyncio.CancelledError):
                await self.released.wait()
        self.has_ended.set()


class Life:
    """One block under a supervisor, and what was heard of it."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.heard: list[str] = []
        self.tasks = Tasks("block")
        self.on_begin: Callable[[], Awaitable[None]] = self.nothing
        self.on_wind_down: Callable[[], Awaitable[None]] = self.nothing
        self.supervisor = Supervisor(
            "life",
            begin=self._begin,
            wind_down=self._wind_down,
            ending=lambda: self.heard.append("ending"),
            gone=lambda: self.heard.append("gone"),
            seconds=seconds,
        )

    async def nothing(self) -> None:
        pass

    async def _begin(self, stack: AsyncExitStack) -> None:
        await stack.enter_async_context(self.tasks)
        stack.callback(self.heard.append, "left")
        self.heard.append("entered")
        await self.on_begin()

    async def _wind_down(self) -> None:
        self.heard.append("winding down")
        await self.on_wind_down()


async def test_an_actor_that_is_asked_to_end_winds_down_and_leaves_its_blocks() -> None:
    life = Life()
    await life.supervisor.start()
    life.supervisor.ask()
    life.supervisor.ask()
    await life.supervisor.wait()
    assert life.heard == ["entered", "ending", "winding down", "left", "gone"]


async def test_a_failure_ends_the_actor_whatever_became_of_the_task_that_started_it() -> None:
    life = Life()
    await launch("starter", life.supervisor.start())
    life.tasks.start("loop", fail())
    with pytest.raises(ExceptionGroup) as caught:
        await life.supervisor.wait()
    assert caught.group_contains(ZeroDivisionError)
    assert life.heard == ["entered", "ending", "left", "gone"]


async def test_a_failure_cancels_no_task_but_the_actors_own() -> None:
    life = Life()
    await life.supervisor.start()
    life.tasks.start("loop", fail())
    with pytest.raises(ExceptionGroup):
        await life.supervisor.wait()
    starter = asyncio.current_task()
    assert starter is not None
    assert not starter.cancelling()


async def test_everybody_who_waits_hears_of_the_failure() -> None:
    life = Life()
    await life.supervisor.start()
    waiting = [asyncio.ensure_future(life.supervisor.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    life.tasks.start("loop", fail())
    heard = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in heard] == [ExceptionGroup, ExceptionGroup]


async def test_a_failure_while_winding_down_is_told() -> None:
    life = Life()
    life.on_wind_down = fail
    await life.supervisor.start()
    life.supervisor.ask()
    with pytest.raises(ExceptionGroup) as caught:
        await life.supervisor.wait()
    assert caught.group_contains(ZeroDivisionError)
    assert life.heard[-1] == "gone"


async def test_closing_while_it_starts_is_quiet_and_the_start_says_so() -> None:
    life = Life()
    life.on_begin = asyncio.Event().wait  # type: ignore[assignment]
    starting = asyncio.ensure_future(life.supervisor.start())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    life.supervisor.ask()
    await life.supervisor.wait()
    with pytest.raises(ClosedError):
        await starting
    assert life.heard == ["entered", "ending", "left", "gone"]


async def test_a_start_that_asks_for_its_own_end_has_it_after_its_step() -> None:
    life = Life()

    async def close() -> None:
        life.supervisor.ask()
        life.heard.append("asked")

    life.on_begin = close
    with pytest.raises(ClosedError):
        await life.supervisor.start()
    assert life.heard == ["entered", "ending", "asked", "left", "gone"]


async def test_a_start_that_is_cancelled_leaves_what_it_entered() -> None:
    life = Life()
    life.on_begin = asyncio.Event().wait  # type: ignore[assignment]
    starting = asyncio.ensure_future(life.supervisor.start())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert life.heard == ["entered", "ending", "left", "gone"]


async def test_what_keeps_it_from_starting_is_raised_without_the_groups_it_passed() -> None:
    life = Life()

    async def refuse() -> None:
        async with Tasks("inner") as inner:
            inner.start("registration", busy())
            await asyncio.Event().wait()

    async def busy() -> None:
        raise BusyError("taken")

    life.on_begin = refuse
    with pytest.raises(BusyError):
        await life.supervisor.start()
    await life.supervisor.wait()  # the start has told it


async def test_what_a_start_raises_is_raised_as_it_is() -> None:
    life = Life()
    life.on_begin = fail
    with pytest.raises(ZeroDivisionError):
        await life.supervisor.start()


async def test_it_starts_once_and_not_after_it_was_closed() -> None:
    life = Life()
    life.supervisor.ask()
    await life.supervisor.wait()
    with pytest.raises(ClosedError):
        await life.supervisor.start()
    other = Life()
    await other.supervisor.start()
    with pytest.raises(LocalProtocolError):
        await other.supervisor.start()
    other.supervisor.ask()
    await other.supervisor.wait()


@pytest.mark.parametrize("is_asked", [True, False], ids=["asked", "failed"])
async def test_an_end_that_hangs_is_given_up_and_named(
    is_asked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    life, stubborn = Life(seconds=0.01), Stubborn()

    async def begin() -> None:
        life.tasks.start("stuck", stubborn.hang())
        await asyncio.sleep(0)

    life.on_begin = begin
    await life.supervisor.start()
    if is_asked:
        life.supervisor.ask()
        await life.supervisor.wait()
    else:
        life.tasks.start("loop", fail())
        with pytest.raises(ZeroDivisionError):
            await life.supervisor.wait()
    assert "closing took too long: actor=life left in=Tasks._until_empty" in caplog.text
    assert life.heard[-1] == "gone"
    stubborn.released.set()
    await stubborn.has_ended.wait()
