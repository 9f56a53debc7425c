"""Processes that freeze, die, or come back; and one pair in which nothing happens."""

from __future__ import annotations

import asyncio
import time

import pytest
from pairs import MakePair, Pair

from lab.actors import OrderError

TYPED = {"BrokenError", "UnreachableError", "DeadlineError"}
BURST = {"rpc": 1500.0, "signal": 300.0}
RUNS_AGAIN = 64
"""Completions that one commit may have carried."""
IDLE_SECONDS = 10.0
IDLE_SHARE = 0.005
WINDOWS = 3


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


async def test_an_idle_link_uses_no_more_than_half_a_percent_of_a_core(
    make_pair: MakePair,
) -> None:
    # On one host, so that no router's work is done on their time.
    async with make_pair(hosts=("a", "a")) as pair:
        await pair.flow()
        await pair.compare()
        await asyncio.sleep(3.0)  # traffic of a moment ago still counts as traffic
        shares = [1.0]
        for _ in range(WINDOWS):  # a busy machine adds to it, and nothing takes away
            shares = min(shares, await _shares(pair), key=max)
            if max(shares) <= IDLE_SHARE:
                break
        pair.note("idle_cpu_share", shares)
        assert max(shares) <= IDLE_SHARE


async def _shares(pair: Pair) -> list[float]:
    """The share of a core that each process uses in the next seconds."""
    before = [(await peer.ask("cpu"))["seconds"] for peer in (pair.a, pair.b)]
    await asyncio.sleep(IDLE_SECONDS)
    after = [(await peer.ask("cpu"))["seconds"] for peer in (pair.a, pair.b)]
    return [round((y - x) / IDLE_SECONDS, 5) for x, y in zip(before, after, strict=True)]
