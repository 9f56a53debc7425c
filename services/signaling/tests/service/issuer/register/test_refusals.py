from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.register import audit, upkeep
from actr_signaling.issuer.register.upkeep import Limits
from signaling_kit.issuer import Clock, Holder, enrol, opened

pytestmark = pytest.mark.service


async def refused(attempt: Any) -> Cause:
    with pytest.raises(RefusalError) as caught:
        await attempt
    return caught.value.cause


async def test_a_flood_of_refusals_does_not_flood_the_audit_log(tmp_path: Path) -> None:
    clock, holder = Clock(), Holder()
    async with opened(tmp_path, clock) as office:
        for _ in range(150):
            await refused(enrol(office, holder, secret=b"a wrong secret"))
        entries = await audit.last(office._database, 1000)
    assert len([entry for entry in entries if entry.event == "refused"]) == 100


async def test_refusals_of_days_push_nothing_else_out_of_the_audit_log(tmp_path: Path) -> None:
    clock, holder = Clock(), Holder()
    async with opened(tmp_path, clock) as office:
        await enrol(office, holder)
        for _ in range(300):
            clock.now += 1
            await refused(enrol(office, holder, secret=b"a wrong secret"))
        limits = Limits(forget_days=1, audit_days=1, audit_rows=200)
        await upkeep.prune(office._database, office._keys, limits, clock.now)
        events = [entry.event for entry in await audit.last(office._database, 1000)]
    assert events[:2] == ["key made", "enrolled"]
    assert events[2:] == ["refused"] * 50
