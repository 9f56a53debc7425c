from __future__ import annotations

import pytest

from actr_peer.wire.webrtc.aiortc.media import pace
from actr_peer.wire.webrtc.aiortc.media.pace import BURST_BYTES, MIN_RATE, Pace


class Clock:
    """Time that passes only when somebody sleeps, or the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.slept = 0.0
        monkeypatch.setattr(pace.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(pace.asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def test_a_burst_goes_at_once(clock: Clock) -> None:
    pace = Pace(1_000_000)
    assert not await pace.spend(BURST_BYTES)
    assert clock.slept == 0


async def test_more_than_a_burst_takes_the_time_that_the_rate_says(clock: Clock) -> None:
    pace = Pace(1_000_000)
    for _ in range(1000):
        await pace.spend(1200)
    assert clock.slept == pytest.approx(1.2 - BURST_BYTES / 1e6, abs=0.02)


async def test_loss_makes_it_slower_once_in_a_while_and_down_to_a_bound(clock: Clock) -> None:
    pace = Pace(10_000_000)
    clock.now += 1
    pace.lost()
    pace.lost()
    assert pace.rate == pytest.approx(7_000_000)
    for _ in range(100):
        clock.now += 1
        pace.lost()
    assert pace.rate == MIN_RATE


async def test_the_rate_grows_back_to_what_it_was(clock: Clock) -> None:
    pace = Pace(2_000_000)
    clock.now += 1
    pace.lost()
    for _ in range(4000):
        await pace.spend(1200)
    assert pace.rate == 2_000_000
