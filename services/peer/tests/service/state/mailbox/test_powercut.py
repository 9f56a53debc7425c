"""Power cuts: what was acknowledged is there, effects are whole, repeats get their reply."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from actr_peer.state.mailbox.mailbox import Mailbox
from peer_kit.state.history import faults, live

pytestmark = [pytest.mark.service, pytest.mark.slow]

RUNS = 20
CUTS = 100


async def test_two_thousand_power_cuts_lose_nothing_that_was_promised(tmp_path: Path) -> None:
    dice = random.Random(20261121)
    found: list[str] = []
    cuts = 0
    for _ in range(RUNS):
        for cut in await live(Mailbox, tmp_path / "box.db", dice=dice, cuts=CUTS):
            cuts += 1
            found += await faults(Mailbox, tmp_path / "box.db", cut)
    assert (cuts, found) == (RUNS * CUTS, [])
