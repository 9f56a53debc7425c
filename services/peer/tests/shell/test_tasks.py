"""Tasks that belong to a block, and failures that end one thing only."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import ContextVar, copy_context

import pytest

from actr_peer.errors import ClosedError
from actr_peer.tasks import Tasks, count_callbacks, failures


async def fail() -> None:
    raise ZeroDivisionError("one thing")


async def leave() -> None:
    raise SystemExit(3)


async def let_a_cancellation_out() -> None:
    inner = asyncio.ensure_future(asyncio.Event().wait())
    inner.cancel()
    await inner


WHO = ContextVar("WHO", default="nobody")


async def test_a_task_has_nothing_of_the_context_of_who_starts_it_unless_it_is_given() -> None:
    seen: list[str] = []

    async def look(name: str) -> None:
        seen.append(WHO.get())
        WHO.set(name)

    WHO.set("the owner")
    async with Tasks("owner") as tasks:
        WHO.set("a caller")
        await tasks.start("one", look("one"))
        await tasks.start("two", look("two"))
        await tasks.start("of the caller", look("three"), context=copy_context())
    assert seen == ["the owner", "the owner", "a caller"]
    assert WHO.get() == "a caller"


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


async def test_what_a_callback_of_the_loop_lets_out_is_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    before, had = failures["callback"], asyncio.Event()
    count_callbacks(loop)
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(had.set)
    await had.wait()
    loop.set_exception_handler(None)
    assert failures["callback"] == before + 1
    assert "ZeroDivisionError" in caplog.text


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


async def test_what_does_not_end_in_time_is_named_and_left_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    released, ended = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()
        ended.set()

    async with Tasks("owner") as tasks:
        tasks.bound(0.0)
        tasks.start("rollback", hang())
        tasks.start("reader", asyncio.Event().wait())  # type: ignore[arg-type]
        await asyncio.sleep(0)
    assert "left behind, although cancelled: owner/rollback" in caplog.text
    assert "owner/reader" not in caplog.text
    released.set()
    await ended.wait()


async def test_a_failure_reaches_through_the_blocks_inside_the_one_that_failed() -> None:
    left: list[str] = []

    async def nested() -> None:
        async with Tasks("outer") as outer:
            try:
                async with Tasks("inner") as inner:
                    inner.start("loop", asyncio.Event().wait())  # type: ignore[arg-type]
                    outer.start("bug", fail())
                    await asyncio.Event().wait()
            finally:
                left.append("inner")

    with pytest.raises(ExceptionGroup) as caught:
        await nested()
    assert (caught.group_contains(ZeroDivisionError), left) == (True, ["inner"])
    owner = asyncio.current_task()
    assert owner is not None
    assert not owner.cancelling()


async def test_a_failure_beside_a_body_that_ends_leaves_no_cancellation_behind() -> None:
    async def end_at_once() -> None:
        async with Tasks("owner") as tasks:
            failing = tasks.start("bug", fail())
            while not failing.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.sleep(0)

    with pytest.raises(ExceptionGroup):
        await end_at_once()
    await asyncio.sleep(0)  # raises what is still to come


async def test_a_block_that_is_cancelled_while_it_is_left_ends_and_says_so() -> None:
    at_clean_up, go_on = asyncio.Event(), asyncio.Event()

    async def clean_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            at_clean_up.set()
            await go_on.wait()

    async def owner() -> None:
        async with Tasks("owner") as tasks:
            tasks.start("child", clean_up())
            await asyncio.sleep(0)

    leaving = asyncio.ensure_future(owner())
    await at_clean_up.wait()
    leaving.cancel()
    await asyncio.sleep(0)
    assert not leaving.done(), "it waits for its children all the same"
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_an_error_of_the_body_leaves_the_block_beside_those_of_its_children() -> None:
    async def fail_at_the_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError

    async def owner() -> None:
        async with Tasks("owner") as tasks:
            tasks.start("loop", fail_at_the_end())
            await asyncio.sleep(0)
            await fail()

    with pytest.raises(ExceptionGroup) as caught:
        await owner()
    assert {type(error) for error in caught.value.exceptions} == {KeyError, ZeroDivisionError}
