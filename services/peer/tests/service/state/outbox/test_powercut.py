"""Power cuts at the caller: accepted calls stay, the mark never passes what is not on disk."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from actr_peer.protocol.payload import PayloadType
from actr_peer.state.outbox.call import DurableCall
from actr_peer.state.outbox.outbox import Outbox
from peer_kit.state.powercut import Disk, Image

pytestmark = [pytest.mark.service, pytest.mark.slow]

RUNS = 5
CUTS = 40
CALLS = 40


@dataclass(frozen=True)
class Cut:
    """The disk, and what the application had been told, when the power failed."""

    image: Image
    accepted: frozenset[int]
    taken: frozenset[int]
    """Numbers whose reply the application had, and had forgotten in the outbox."""
    told: int
    """The highest low-water mark that a callee could have heard."""
    mark: bytes


def read(file: Path) -> bytes:
    return file.read_bytes()


def encode(number: int, low_water: int, store_id: int) -> bytes:
    return f"{number} {low_water} {store_id}".encode()


def call(name: int) -> DurableCall:
    return DurableCall(
        call_key=f"key {name}",
        remote="acme:room@2:default",
        request_id=f"id {name}",
        payload_type=PayloadType.RPC_RELIABLE,
        route_key="demo.Chat.Say",
    )


async def live(path: Path, dice: random.Random) -> list[Cut]:
    """Make calls, answer them in no order, and cut the power, in a copy, again and again."""
    disk = Disk()
    mark = path.with_name(path.name + "-mark")
    mark.unlink(missing_ok=True)  # of the disk before
    accepted: set[int] = set()
    taken: set[int] = set()
    cuts: list[Cut] = []
    told = 0

    def maybe_cut() -> None:
        if len(cuts) < CUTS and dice.random() < 0.5:
            told_of = frozenset(accepted), frozenset(taken), told
            cuts.append(Cut(disk.cut(dice), *told_of, read(mark)))

    async with Outbox(str(path), max_bytes=1_000_000, connect=disk.connect) as outbox:
        disk.on_step = maybe_cut
        for name in range(1, CALLS + 1):
            sent = await outbox.add(call(name), encode)
            accepted.add(sent.number)
            told = max(told, int(sent.envelope.split()[1]))
            still_open = outbox.open_calls()
            answered = min(len(still_open), dice.randint(0, 2))
            for one in dice.sample(still_open, answered):
                outbox.resolve(one.request_id, b"reply")
                if dice.random() < 0.5:
                    taken.add(one.number)
                    outbox.forget(one.call_key)
        disk.on_step = lambda: None
    return cuts


async def faults(path: Path, cut: Cut) -> list[str]:
    """What a start over the remains breaks of what was promised."""
    disk = Disk(cut.image)
    path.with_name(path.name + "-mark").write_bytes(cut.mark)
    async with Outbox(str(path), max_bytes=1_000_000, connect=disk.connect) as outbox:
        kept = {one.number for one in outbox.open_calls()}
        kept |= {int(key.split()[1]) for key in outbox.completed()}
        found = [f"lost: {number}" for number in cut.accepted - kept - cut.taken]
        if outbox.open_calls() and cut.told > outbox.open_calls()[0].number:
            found.append(f"the callee was told {cut.told}, and {outbox.open_calls()[0]} is open")
        fresh = await outbox.add(call(CALLS + 1), encode)
        if fresh.number in cut.accepted or fresh.number < cut.told:
            found.append(f"number {fresh.number} is used again")
    return found


async def test_power_cuts_lose_no_accepted_call_and_no_number_twice(tmp_path: Path) -> None:
    dice = random.Random(42)
    found: list[str] = []
    cuts = 0
    for _ in range(RUNS):
        for cut in await live(tmp_path / "out.db", dice):
            cuts += 1
            found += await faults(tmp_path / "out.db", cut)
            await asyncio.sleep(0)
    assert (cuts, found) == (RUNS * CUTS, [])
