from __future__ import annotations

import asyncio

import pytest

from actr_peer.protocol.media.pacing import BURST_BYTES
from actr_peer.wire.webrtc.aiortc.media import pace
from actr_peer.wire.webrtc.aiortc.media.pace import Pace
from peer_kit.fakes import turns


class Clock:
    """Time that passes when the test says so; timers fire when it does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.loop = asyncio.get_running_loop()
        monkeypatch.setattr(pace.time, "monotonic", lambda: self.now)

    async def tick(self, made: Pace, seconds: float) -> None:
        self.now += seconds
        if made._timer is not None:
            made._timer.cancel()
            made._go_on()
        await turns(3)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Sender:
    def __init__(self, said: list[object], size: int = 1000) -> None:
        self.said = said
        self.size = size

    def repeat(self, sequence: int) -> int:
        self.said.append(sequence)
        return self.size


async def test_a_burst_goes_at_once(clock: Clock) -> None:
    made = Pace(1_000_000)
    assert not await made.begin(0)
    assert not made.charge(BURST_BYTES)
    assert made._timer is None


async def test_one_budget_is_for_all_and_the_earliest_deadline_goes_first(clock: Clock) -> None:
    made = Pace(1_000_000)
    said: list[object] = []

    async def frame(name: str, deadline: float) -> None:
        assert await made.begin(deadline)
        said.append(name)

    made.budget.charge(BURST_BYTES + 100_000)
    async with asyncio.TaskGroup() as group:
        group.create_task(frame("late", 2.0))
        group.create_task(frame("early", 1.0))
        await turns(3)
        await clock.tick(made, 0.05)
        assert said == []
        await clock.tick(made, 0.06)
        await clock.tick(made, 0.0)
    assert said == ["early", "late"]
    made.end()


async def test_packets_sent_again_go_before_new_ones_and_are_paced(clock: Clock) -> None:
    made = Pace(1_000_000)
    said: list[object] = []
    sender = Sender(said, 40_000)

    async def frame() -> None:
        await made.begin(0)
        said.append("new")

    made.budget.charge(BURST_BYTES + 100_000)
    async with asyncio.TaskGroup() as group:
        group.create_task(frame())
        await turns(3)
        for sequence in (5, 6):
            made.repeat(sender, sequence)
        await clock.tick(made, 0.101)
        assert said == [5], "the second one waits for the budget"
        await clock.tick(made, 0.04)
        assert said == [5, 6]
        await clock.tick(made, 0.05)
    assert said == [5, 6, "new"]
    made.end()


async def test_a_track_that_stops_while_it_waits_holds_up_no_other(clock: Clock) -> None:
    made = Pace(1_000_000)
    made.budget.charge(BURST_BYTES + 100_000)
    loop = asyncio.get_running_loop()
    stopped, other = (loop.create_task(made.begin(at)) for at in (1.0, 2.0))
    await turns(3)
    stopped.cancel()
    await turns(3)
    await clock.tick(made, 0.2)
    assert other.done()
    made.end()
    made.end()
