"""Faults put into the code on purpose, each in one peer process or both: the suite finds them all.

Each scenario is run twice: as the code is, when nothing may be found, and with the fault, when
something must be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest
from pairs import MakePair, Pair, is_clean

from lab.hosts import TCP_CUT, TCP_RESET, UDP_CUT, Fault
from lab.record import RELIABLE

Found = list[str]
Scenario = Callable[[Pair], Awaitable[Found]]
WEBSOCKET_FIRST = {"prefer": ["websocket", "webrtc"]}
SMALL_MAILBOX = {"mailbox_capacity": 200}
TRIES = 3
"""Of the same scenario with a fault: on a busy machine nothing may be overtaken in one of them."""
RATES = {"rpc": 100.0, "signal": 100.0, "stream": 100.0}
PATIENCE, FAULTY_PATIENCE = 10.0, 1.5
"""Seconds: what takes longer to end never does. With a fault that would be its effect."""


async def _compare(pair: Pair, lanes: tuple[str, ...] = RELIABLE) -> Found:
    """What is wrong on these lanes: counts of it, and what never ends."""
    found: Found = []
    patience = FAULTY_PATIENCE if pair.fault else PATIENCE
    ends = ((pair.a, pair.b), (pair.b, pair.a))
    stopped = await asyncio.gather(*(peer.ask("stop", timeout=patience) for peer, _ in ends))
    settled = await asyncio.gather(
        *(peer.ask("settle", to=other.id, timeout=patience) for peer, other in ends)
    )
    for (peer, _), stop, settle in zip(ends, stopped, settled, strict=True):
        found += [f"{peer.name}: sends or calls never end"] * bool(stop["given_up"])
        found += [f"{peer.name} never settles"] * (not settle["ok"])
        found += [f"{peer.name} lost its link" for _ in peer.told("gone")]
    for name, counts in pair.counted().items():
        if name.endswith(lanes) and not is_clean(counts):
            found.append(f"{name}: {counts}")
    return found


async def a_wire_breaks_with_messages_on_it(pair: Pair) -> Found:
    """What the kernel has taken for a TCP connection that is then reset is gone."""
    await pair.flow(RATES)
    async with pair.net.broken(TCP_CUT):
        await asyncio.sleep(0.3)
        await pair.net.break_with(TCP_RESET)
        await pair.net.heal(TCP_CUT)
        await asyncio.sleep(1.0)
        await pair.net.heal(TCP_RESET)
    return await _compare(pair)


async def a_silent_wire_speaks_again(pair: Pair) -> Found:
    """What was sent again on the other wire comes once more when the first one heals."""
    await pair.flow(RATES)
    for _ in range(2):
        async with pair.net.broken(UDP_CUT):
            await asyncio.sleep(1.0)
        await pair.ready()
    return await _compare(pair)


async def a_slow_wire_is_overtaken(pair: Pair) -> Found:
    """Traffic goes back to the better wire while some of it waits on the slow one."""
    await pair.flow(RATES)
    await pair.net.break_with(Fault(protocol="tcp", share=0.4))
    for _ in range(6):
        async with pair.net.broken(UDP_CUT):
            await asyncio.sleep(0.8)
        await pair.ready(kinds=["webrtc"])
    await pair.net.heal()
    return await _compare(pair)


async def a_process_dies_with_its_mailbox_full(pair: Pair) -> Found:
    """What was acknowledged was stored, so the next process has it."""
    await pair.flow({"rpc": 200.0})
    await pair.b.ask("slow", seconds=0.05)
    await asyncio.sleep(2.0)
    pair.b.kill()
    await pair.restart("b")
    await pair.ready()
    found = await _compare(pair, ())
    counts = pair.counted()["a to b, rpc"]
    return [*found, *([f"lost: {counts}"] if counts["lost"] else [])]


async def a_process_thaws_beside_its_successor(pair: Pair) -> Found:
    """It goes on sending on wires that belong to nobody any more."""
    await pair.flow(RATES)
    old = pair.b
    old.freeze()
    new = await pair.restart("b", mailbox_path=None)
    await new.ask("send", to=pair.a.id, rates=RATES)
    await pair.a.hear("reset", within=10)
    old.thaw()
    await asyncio.sleep(1.0)
    found = await _compare(pair, ())
    # Both processes of b have taken, and still hold, calls that are not the other's.
    for name, counts in pair.counted().items():
        to_a = name.startswith("b") and name.endswith(RELIABLE)
        if to_a and (counts["doubled"] or counts["out_of_order"]):
            found.append(f"{name}: {counts}")
    return found


SCENARIOS: Mapping[str, tuple[Scenario, Mapping[str, object]]] = {
    "NoResend": (a_wire_breaks_with_messages_on_it, WEBSOCKET_FIRST),
    "NoDuplicateWindow": (a_silent_wire_speaks_again, {}),
    "NoHoldBack": (a_slow_wire_is_overtaken, {}),
    "AcknowledgesBeforeDelivery": (a_process_dies_with_its_mailbox_full, SMALL_MAILBOX),
    "HearsOldWires": (a_process_thaws_beside_its_successor, {}),
}


@pytest.mark.parametrize("fault", SCENARIOS)
async def test_a_deliberate_fault_is_found_and_only_it(make_pair: MakePair, fault: str) -> None:
    scenario, options = SCENARIOS[fault]
    async with make_pair(options=options) as pair:
        assert await scenario(pair) == []
    found: Found = []
    for _ in range(TRIES):
        async with make_pair(options=options, fault=fault) as pair:
            found = await scenario(pair)
            pair.note("found", found)
        if found:
            break
    assert found, f"{fault} was not found"
