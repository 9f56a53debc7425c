"""How late the loop is."""

from __future__ import annotations

import asyncio
import time

import pytest

from actr_signaling.web.metrics import lag as module
from actr_signaling.web.metrics.lag import Lag


async def test_a_loop_that_was_held_up_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVERY", 0.01)
    lag, looked = Lag(), asyncio.Event()
    add = lag.durations.add
    monkeypatch.setattr(lag.durations, "add", lambda seconds: (add(seconds), looked.set()))
    async with lag:
        await asyncio.sleep(0)  # it has begun to look
        time.sleep(0.05)  # noqa: ASYNC251 - what holds a loop up
        await looked.wait()
        assert 0.03 < lag.durations.seconds < 60
