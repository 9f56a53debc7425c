"""A coroutine is stepped at once, and what it sees of its task never changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any

import pytest

from actr_peer.actor.stepping import StandIn, Suspended, resume, step

Body = Callable[[], Coroutine[Any, Any, Any]]


async def run(body: Body) -> tuple[bool, Any]:
    """Step ``body`` from a callback, as the scheduler does: did it suspend, and its result."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[tuple[bool, Any]] = loop.create_future()
    keep: list[asyncio.Task[None]] = []

    async def rest(coro: Any, stand_in: StandIn, suspended: Suspended) -> None:
        try:
            future.set_result((True, await resume(coro, stand_in, suspended)))
        except BaseException as exc:  # noqa: BLE001 - carried to the test
            future.set_exception(exc if isinstance(exc, Exception) else RuntimeError(repr(exc)))

    def start() -> None:
        context, stand_in, coro = copy_context(), StandIn(), body()
        try:
            result = step(coro, stand_in, context, loop)
        except Exception as exc:  # noqa: BLE001 - carried to the test
            future.set_exception(exc)
            return
        if isinstance(result, Suspended):
            keep.append(loop.create_task(rest(coro, stand_in, result), context=context))
        else:
            future.set_result((False, result))

    loop.call_soon(start)
    result = await future
    await asyncio.gather(*keep)
    return result


async def test_a_coroutine_that_does_not_wait_needs_no_task() -> None:
    async def body() -> str:
        return "done"

    assert await run(body) == (False, "done")


async def test_one_that_waits_goes_on_where_it_was() -> None:
    async def body() -> list[int]:
        steps = [1]
        await asyncio.sleep(0)
        steps.append(2)
        await asyncio.sleep(0.001)
        return [*steps, 3]

    assert await run(body) == (True, [1, 2, 3])


@pytest.mark.parametrize("waits", [False, True])
async def test_its_exception_comes_out(waits: bool) -> None:
    async def body() -> None:
        if waits:
            await asyncio.sleep(0)
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        await run(body)


async def test_an_exception_of_what_it_waits_for_goes_in() -> None:
    async def body() -> str:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, KeyError("lost"))
        try:
            await future
        except KeyError:
            await asyncio.sleep(0)
            return "caught"
        return "missed"

    assert await run(body) == (True, "caught")


async def test_its_current_task_is_the_same_before_and_after_it_waits() -> None:
    async def body() -> bool:
        before = asyncio.current_task()
        await asyncio.sleep(0)
        between = asyncio.current_task()
        await asyncio.sleep(0)
        return before is not None and before is between is asyncio.current_task()

    assert await run(body) == (True, True)


async def test_a_timeout_entered_before_it_waits_ends_it() -> None:
    async def body() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            return "timed out"
        return "no"

    assert await run(body) == (True, "timed out")


async def test_a_timeout_that_does_not_strike_leaves_no_trace() -> None:
    async def nothing() -> None:
        pass

    async def body() -> str:
        async with asyncio.timeout(60):
            await nothing()
        return "in time"

    assert await run(body) == (False, "in time")


async def test_a_task_group_entered_before_it_waits_works_and_fails_as_it_should() -> None:
    async def fails() -> None:
        raise ValueError("a child")

    async def body() -> str:
        async with asyncio.TaskGroup() as group:
            good = group.create_task(asyncio.sleep(0, "child"))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fails())
                await asyncio.Event().wait()
        except* ValueError:
            caught = True
        return good.result() if caught else "no"

    assert await run(body) == (True, "child")


async def test_anyio_scopes_and_groups_entered_before_it_waits_work() -> None:
    anyio = pytest.importorskip("anyio")

    async def body() -> str:
        with anyio.move_on_after(0.01) as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 10)
                await anyio.sleep(10)
        with anyio.fail_after(5):
            await anyio.sleep(0)
        return "moved on" if scope.cancelled_caught else "no"

    assert await run(body) == (True, "moved on")


@pytest.mark.parametrize("how", ["by hand", "by a deadline that is over", "from outside it"])
async def test_an_anyio_scope_that_is_cancelled_before_it_waits_strikes_when_it_waits(
    how: str,
) -> None:
    anyio = pytest.importorskip("anyio")

    async def body() -> str:
        deadline = 0 if how == "by a deadline that is over" else float("inf")
        with anyio.CancelScope(deadline=deadline) as scope:
            if how == "by hand":
                scope.cancel()
            elif how == "from outside it":  # in the turn between its first step and its task
                asyncio.get_running_loop().call_soon(scope.cancel)
            with anyio.CancelScope():  # another one, which the cancellation passes through
                await asyncio.Event().wait()
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0, "nothing is left of it"
        return "moved on" if scope.cancelled_caught else "no"

    assert await run(body) == (True, "moved on")


async def test_a_cancellation_before_it_waits_strikes_when_it_waits() -> None:
    async def body() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        assert task.cancelling() == 1
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            task.uncancel()
            return "cancelled"
        return "no"

    assert await run(body) == (True, "cancelled")


async def test_context_variables_stay_its_own_and_can_be_reset_after_it_waits() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="outside")

    async def body() -> str:
        token = variable.set("inside")
        await asyncio.sleep(0)
        seen = variable.get()
        variable.reset(token)
        return seen

    assert await run(body) == (True, "inside")
    assert variable.get() == "outside"


async def test_what_a_task_has_beyond_that_is_there_once_it_has_waited() -> None:
    async def body() -> bool:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(AttributeError, match="no task"):
            task.get_name()
        assert not task.done()
        await asyncio.sleep(0)
        return bool(task.get_name())

    assert await run(body) == (True, True)
