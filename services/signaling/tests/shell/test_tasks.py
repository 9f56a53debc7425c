from __future__ import annotations

import asyncio

import pytest

from actr_signaling.errors import ClosedError
from actr_signaling.tasks import Tasks


async def test_leaving_the_block_ends_the_children() -> None:
    ended = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with Tasks("owner") as tasks:
        tasks.start("loop", forever())
        await asyncio.sleep(0)
    assert ended.is_set()
    assert len(asyncio.all_tasks()) == 1


async def test_a_failing_child_ends_the_block_and_its_siblings() -> None:
    async def fail() -> None:
        raise ValueError("boom")

    async def forever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - the block is what raises
        async with Tasks("owner") as tasks:
            tasks.start("sleeper", forever())
            tasks.start("failing", fail())
            await asyncio.Event().wait()
    assert caught.group_contains(ValueError, match="boom")
    assert len(asyncio.all_tasks()) == 1


async def test_a_closed_owner_starts_nothing() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    tasks = Tasks("owner")
    with pytest.raises(ClosedError, match="owner"):
        tasks.start("late", forever())
