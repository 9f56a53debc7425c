from __future__ import annotations

import asyncio

from actr_signaling.issuer.register.recent import Recent


class Register:
    """Answers when it may, and counts."""

    def __init__(self) -> None:
        self.answer, self.version, self.asked, self.now = {"a": 1}, 1, 0, 5.0
        self.may = asyncio.Event()
        self.may.set()

    async def make(self) -> dict[str, int]:
        self.asked += 1
        await self.may.wait()
        return dict(self.answer)

    def recent(self) -> Recent[dict[str, int]]:
        async def version() -> int:
            return self.version

        return Recent(self.make, lambda: self.now, version)


async def test_many_who_ask_at_once_are_answered_by_one_question() -> None:
    register = Register()
    recent = register.recent()
    register.may.clear()
    asking = [asyncio.create_task(recent.get()) for _ in range(100)]
    await asyncio.sleep(0)
    register.may.set()
    assert [await one for one in asking] == [{"a": 1}] * 100
    assert register.asked == 1


async def test_what_has_changed_is_seen_at_once_by_its_version_and_else_in_a_second() -> None:
    register = Register()
    recent = register.recent()
    first = await recent.get()
    register.answer["a"] = 2
    assert await recent.get() is first
    register.version = 2
    assert await recent.get() == {"a": 2}
    register.answer["a"] = 3
    register.now += 1
    assert await recent.get() == {"a": 3}


async def test_the_same_answer_is_the_same_object() -> None:
    register = Register()
    recent = register.recent()
    first = await recent.get()
    register.now += 1
    assert await recent.get() is first
    assert register.asked == 2


async def test_who_is_gone_while_it_is_made_takes_it_from_nobody() -> None:
    register = Register()
    recent = register.recent()
    register.may.clear()
    gone, waits = (asyncio.create_task(recent.get()) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    register.may.set()
    assert await waits == {"a": 1}
