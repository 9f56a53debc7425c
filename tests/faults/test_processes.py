"""Processes that freeze, die, or come back; and one pair in which nothing happens."""

from __future__ import annotations

import asyncio
import time

import pytest
from pairs import MakePair

from lab.actors import OrderError

TYPED = {"BrokenError", "UnreachableError", "DeadlineError"}
BURST = {"rpc": 1500.0, "signal": 300.0}
RUNS_AGAIN = 64
"""Completions that one commit may have carried."""
IDLE_SECONDS = 10.0
IDLE_WAKES = 6.0
IDLE_CALLS = 400.0
"""In a second, of one process: how many there are says the same on every machine, which what they
cost does not."""


async def test_a_process_frozen_for_three_seconds_loses_nothing(make_pair: MakePair) -> None:
    async with make_pair() as pair:
        await pair.flow()
        pair.b.freeze()
        await asyncio.sleep(3.0)
        pair.b.thaw()
        await pair.ready()
        await pair.assert_clean()


async def test_a_killed_process_is_not_preferred_within_a_second_and_calls_fail_typed(
    make_pair: MakePair,
) -> None:
    async with make_pair(options={"health_interval": 2.0}) as pair:
        await pair.flow()
        pair.b.kill()
        await asyncio.sleep(1.0)
        wires = (await pair.a.ask("status", to=pair.b.id))["wires"]
        assert "READY" not in wires.values(), wires
        began = time.monotonic()
        with pytest.raises(OrderError) as caught:
            await pair.a.ask("call", to=pair.b.id, timeout=25.0)
        assert caught.value.kind in TYPED
        pair.note("failed_with", str(caught.value))
        pair.note("failed_after_s", round(time.monotonic() - began, 3))
        assert time.monotonic() - began < 25.0


async def test_a_restarted_process_gets_all_accepted_calls_and_streams_are_told(
    make_pair: MakePair,
) -> None:
    async with make_pair() as pair:
        await pair.flow()
        await pair.a.ask("send", to=pair.b.id, rates=BURST)
        await asyncio.sleep(0.5)
        pair.b.kill()
        await pair.restart("b")
        await pair.ready()
        assert pair.a.told("reset"), "the far side restarted, and nobody was told"
        assert pair.a.told("refused", lane="stream"), "the stream ended in silence"
        await asyncio.sleep(0.5)
        found = await pair.compare()
        for lane in ("rpc", "signal"):
            counts = found[f"a to b, {lane}"]
            assert counts["lost"] == 0, counts
            # At least once: what had run, and was not yet written down as done, runs again.
            assert counts["doubled"] <= RUNS_AGAIN, counts


@pytest.mark.parametrize("fault", ["", "Polling"])
async def test_an_idle_pair_wakes_and_works_only_as_often_as_it_must(
    make_pair: MakePair, fault: str
) -> None:
    """With a task that looks every 50 ms whether there is something to do, it is not so."""
    # On one host, so that no router's work is done on their time.
    async with make_pair(fault, hosts=("a", "a")) as pair:
        await pair.flow()
        await pair.compare()
        found = await asyncio.gather(
            *(peer.ask("idle", seconds=IDLE_SECONDS) for peer in (pair.a, pair.b))
        )
        pair.note("idle", found)
        wakes, calls = (max(each[what] for each in found) for what in ("wakes", "calls"))
        assert (wakes <= IDLE_WAKES and calls <= IDLE_CALLS) is not bool(fault)
