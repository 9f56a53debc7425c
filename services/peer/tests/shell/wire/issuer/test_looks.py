"""Looks go on, spread in time, until their block ends."""

from __future__ import annotations

import asyncio

import pytest

from actr_peer.wire.issuer.looks import SPREAD, Looks


class Counted(Looks):
    def __init__(self) -> None:
        super().__init__(every=10, wait=self._pass)
        self.told: list[float | str] = []
        self.enough = asyncio.Event()

    async def look(self) -> None:
        self.told.append("look")

    async def _pass(self, seconds: float) -> None:
        self.told.append(seconds)
        if len(self.told) > 20:
            self.enough.set()
            await asyncio.Event().wait()


@pytest.mark.parametrize("at_once", [True, False])
async def test_looks_and_waits_take_turns_and_end_with_the_block(*, at_once: bool) -> None:
    async with Counted() as looks:
        looks._begin(at_once=at_once)
        await looks.enough.wait()
    told = list(looks.told)
    assert all(each == "look" for each in told[not at_once :: 2])
    waits = [each for each in told if each != "look"]
    assert len(waits) >= 10
    assert all(10 * (1 - SPREAD) <= float(each) <= 10 for each in waits)
    assert len(set(waits)) > 1
    await asyncio.sleep(0)
    assert looks.told == told
