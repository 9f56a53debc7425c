"""Tasks that belong to a block, and failures that end one thing only."""

from __future__ import annotations

import asyncio

import pytest

from actr_peer.errors import ClosedError
from actr_peer.tasks import Tasks


async def fail() -> None:
    raise ZeroDivisionError("one thing")


async def leave() -> None:
    raise SystemExit(3)


async def let_a_cancellation_out() -> None:
    inner = asyncio.ensure_future(asyncio.Event().wait())
    inner.cancel()
    await inner


async def test_a_failure_that_nobody_contains_ends_the_block() -> None:
    async def owner() -> None:
        async with Tasks("owner") as tasks:
            tasks.start("bug", fail())
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:
        await owner()
    assert caught.group_contains(ZeroDivisionError)


@pytest.mark.parametrize(
    ("work", "kind"),
    [
        (fail, ZeroDivisionError),
        (leave, SystemExit),
        (let_a_cancellation_out, asyncio.CancelledError),
    ],
    ids=["an error", "an exit", "a cancellation that nobody asked for"],
)
async def test_a_contained_failure_ends_only_what_its_task_was_for(
    work: object, kind: type[BaseException]
) -> None:
    heard: list[BaseException] = []
    async with Tasks("owner") as tasks:
        await tasks.start("call/7", work(), failed=heard.append)  # type: ignore[operator]
        other = tasks.start("call/8", asyncio.sleep(0))
        await other
    assert [type(error) for error in heard] == [kind]
    assert tasks.contained == {"call": 1}


async def test_cancelling_a_contained_task_is_no_failure() -> None:
    heard: list[BaseException] = []
    async with Tasks("owner") as tasks:
        task = tasks.start("call", asyncio.Event().wait(), failed=heard.append)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert heard == []
    assert not tasks.contained


async def test_leaving_the_block_is_no_failure_of_what_it_contains() -> None:
    heard: list[BaseException] = []
    async with Tasks("owner") as tasks:
        tasks.start("begun", asyncio.Event().wait(), failed=heard.append)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        tasks.start("not begun", asyncio.Event().wait(), failed=heard.append)  # type: ignore[arg-type]
    assert heard == []


async def test_an_owner_that_fails_to_end_a_thing_ends_the_block() -> None:
    def cannot(error: BaseException) -> None:
        raise KeyError("owner")

    async def owner() -> None:
        async with Tasks("owner") as tasks:
            tasks.start("call", fail(), failed=cannot)
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:
        await owner()
    assert caught.group_contains(KeyError)


async def test_a_closed_owner_starts_nothing() -> None:
    tasks = Tasks("owner")
    with pytest.raises(ClosedError):
        tasks.start("late", fail())
