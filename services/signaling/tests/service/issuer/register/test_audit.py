from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from actr_signaling.issuer.protocol.causes import RefusalError
from actr_signaling.issuer.register import audit
from actr_signaling.issuer.register.audit import Entry
from actr_signaling.issuer.register.database import Database

pytestmark = pytest.mark.service


async def fill(database: Database, count: int) -> None:
    async with database.transaction() as tx:
        for number in range(count):
            await audit.append(tx, Entry(at=number, event="enrolled", detail="x" * 1000))


async def test_lines_come_back_in_order_and_within_bounds(tmp_path: Path) -> None:
    async with Database(tmp_path / "r") as database:
        await fill(database, 5)
        last = await audit.last(database, 3)
        assert [entry.at for entry in last] == [2, 3, 4]
        assert len(last[0].detail) == 400


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET event = 'nothing'", "DELETE FROM audit", "DELETE FROM audit WHERE id = 2"],
)
async def test_nobody_changes_what_was_written(tmp_path: Path, statement: str) -> None:
    async with Database(tmp_path / "r") as database:
        await fill(database, 3)
        with pytest.raises(RefusalError):
            async with database.transaction() as tx:
                await tx.execute(statement)
        assert len(await audit.last(database, 10)) == 3
    raw = sqlite3.connect(tmp_path / "r")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(statement)
    raw.close()


async def test_the_oldest_go_where_there_are_too_many_or_they_are_too_old(tmp_path: Path) -> None:
    async with Database(tmp_path / "r") as database:
        await fill(database, 10)
        async with database.transaction() as tx:
            await audit.prune(tx, before=0, max_rows=6)
        assert [entry.at for entry in await audit.last(database, 100)] == [4, 5, 6, 7, 8, 9]
        async with database.transaction() as tx:
            await audit.prune(tx, before=7, max_rows=6)
        assert [entry.at for entry in await audit.last(database, 100)] == [7, 8, 9]
        async with database.transaction() as tx:
            await audit.prune(tx, before=100, max_rows=100)
        await fill(database, 1)
        assert len(await audit.last(database, 100)) == 1, "a new line is not below the old floor"
