from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actr_signaling.issuer.keys import KeyFiles
from actr_signaling.issuer.protocol.grants import Grant
from actr_signaling.issuer.protocol.subjects import Subject
from actr_signaling.issuer.register import upkeep
from actr_signaling.issuer.register.administration import Administration
from actr_signaling.issuer.register.upkeep import DAY, Limits
from signaling_kit.issuer import Clock, Holder, enrol, opened

pytestmark = pytest.mark.service
LIMITS = Limits(forget_days=10, audit_days=100, audit_rows=1000)
ROOMS = Grant(subject=Subject.parse("acme:room@*"), realm="default")


async def test_what_nobody_needs_any_more_goes(tmp_path: Path) -> None:
    clock, holder = Clock(), Holder()
    async with opened(tmp_path, clock) as office:
        keys = KeyFiles(tmp_path / "issuer/keys")
        operator = Administration(office._database, keys, clock=clock)
        await enrol(office, holder)
        await operator.revoke_key(holder.public)
        await operator.new_token(ROOMS, lasts=60)
        [old] = await operator.issuer_keys()
        await operator.retire_key(old.kid, is_stolen=True)

        async def pruned(days: float) -> tuple[int, int, int]:
            clock.now += days * DAY
            await upkeep.prune(office._database, keys, LIMITS, clock.now)
            left = (await operator.actors(), await operator.tokens(), await operator.issuer_keys())
            return len(left[0]), len(left[1]), len(left[2])

        assert await pruned(0.5) == (1, 1, 2)
        assert await pruned(1) == (1, 0, 2)
        assert await pruned(9) == (0, 0, 2)
        assert await pruned(25) == (0, 0, 1)
        assert not (tmp_path / f"issuer/keys/{old.kid}.pem").exists()
        assert await office._database.read("SELECT * FROM revoked") == []


async def test_lines_of_the_audit_log_go_by_age(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as office:
        keys = KeyFiles(tmp_path / "issuer/keys")
        clock.now += 2 * DAY
        limits = replace(LIMITS, audit_days=1)
        await upkeep.prune(office._database, keys, limits, clock.now)
        assert await office._database.read("SELECT * FROM audit") == []


async def test_counts_are_of_now(tmp_path: Path) -> None:
    clock, holders = Clock(), [Holder(), Holder()]
    async with opened(tmp_path, clock) as office:
        operator = Administration(office._database, KeyFiles(tmp_path / "issuer/keys"), clock=clock)
        for number, holder in enumerate(holders):
            await enrol(office, holder, f"acme:room@{number}")
        await operator.revoke_key(holders[0].public)
        await operator.new_token(ROOMS, lasts=60)
        counts = await upkeep.counts(office._database, clock.now)
        assert (counts.alive, counts.enrolled, counts.revoked, counts.waiting_tokens) == (
            1,
            1,
            1,
            1,
        )
        clock.now += 1021
        counts = await upkeep.counts(office._database, clock.now)
        assert (counts.alive, counts.enrolled, counts.revoked, counts.waiting_tokens) == (
            0,
            1,
            0,
            0,
        )
