from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from actr_signaling.errors import ConfigError
from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.register import database
from actr_signaling.issuer.register.database import Database

pytestmark = pytest.mark.service
BEAT = "UPDATE meta SET value = ? WHERE name = 'beat'"


async def beaten(opened: Database) -> object:
    [row] = await opened.read("SELECT value FROM meta WHERE name = 'beat'")
    return row[0]


async def test_the_file_is_its_user_s_alone_and_has_a_version(tmp_path: Path) -> None:
    path = tmp_path / "register.db"
    async with Database(path) as opened:
        [row] = await opened.read("PRAGMA user_version")
        assert row[0] == len(database._VERSIONS)
        modes = {stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in os.listdir(tmp_path)}
        assert modes == {0o600}
    async with Database(path):
        pass
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(ConfigError, match="version is 99"):
        await Database(path).__aenter__()


async def test_a_transaction_is_whole_or_nothing(tmp_path: Path) -> None:
    async with Database(tmp_path / "r") as opened:

        async def fail() -> None:
            async with opened.transaction() as tx:
                await tx.execute(BEAT, (1,))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        assert await beaten(opened) == 0
        async with opened.transaction() as tx:
            await tx.execute(BEAT, (2,))
            assert await beaten(opened) == 0, "nobody sees it before it is whole"
        assert await beaten(opened) == 2


async def test_a_cancelled_transaction_leaves_the_way_free(tmp_path: Path) -> None:
    async with Database(tmp_path / "r") as opened:
        written, never = asyncio.Event(), asyncio.Event()

        async def write() -> None:
            async with opened.transaction() as tx:
                await tx.execute(BEAT, (1,))
                written.set()
                await never.wait()

        task = asyncio.create_task(write())
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await beaten(opened) == 0
        async with opened.transaction() as tx:
            await tx.execute(BEAT, (3,))
        assert await beaten(opened) == 3


async def test_transactions_take_turns(tmp_path: Path) -> None:
    async with Database(tmp_path / "r") as opened:

        async def add() -> None:
            async with opened.transaction() as tx:
                [row] = await tx.execute_fetchall("SELECT value FROM meta WHERE name = 'beat'")
                await tx.execute(BEAT, (row[0] + 1,))

        await asyncio.gather(*(add() for _ in range(50)))
        assert await beaten(opened) == 50


async def test_too_many_that_wait_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "MAX_WAITING", 1)
    async with Database(tmp_path / "r") as opened:
        entered, release = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with opened.transaction():
                entered.set()
                await release.wait()

        first = asyncio.create_task(hold())
        await entered.wait()
        second = asyncio.create_task(hold())
        await asyncio.sleep(0)  # its turn to wait
        with pytest.raises(RefusalError) as refused:
            async with opened.transaction():
                pass
        assert refused.value.cause is Cause.FULL
        release.set()
        await asyncio.gather(first, second)


async def test_a_register_that_somebody_else_locks_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.05)
    async with Database(tmp_path / "r") as opened:
        other = sqlite3.connect(tmp_path / "r", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RefusalError) as refused:
            async with opened.transaction() as tx:
                await tx.execute(BEAT, (1,))
        assert (refused.value.cause, refused.value.retry_after) == (Cause.UNREADY, 5)
        assert await beaten(opened) == 0, "who reads waits for nobody"
        other.execute("ROLLBACK")
        other.close()
        async with opened.transaction() as tx:
            await tx.execute(BEAT, (1,))


async def test_a_file_that_is_no_register_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(b"no database" * 1000)
    for path in (tmp_path / "r", tmp_path / "none" / "r"):
        with pytest.raises(ConfigError, match="keeps its register"):
            await Database(path).__aenter__()
