"""A handler's effects: with the completion and the reply, or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest

from actr_peer.actor.scheduler import Deferred, Outcome, Turn
from actr_peer.errors import LimitError, LocalProtocolError, PeerError
from actr_peer.protocol.mailbox.requests import STORED, Repeated, Request
from actr_peer.state.mailbox import transaction
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.mailbox.transaction import MAX_STATEMENTS, Transaction
from actr_peer.state.storage import batches, database
from actr_peer.state.storage.journal import read_running
from peer_kit.state.requests import Actor, leaping_clock, put, request, settled

pytestmark = pytest.mark.service


@pytest.fixture(params=["power", "memory"])
async def mailbox(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Mailbox]:
    async with Mailbox(tmp_path / "box.db", durability=request.param) as box:
        await box.state_file.ask(
            lambda connection: connection.execute(
                "CREATE TABLE account(id TEXT PRIMARY KEY, balance INTEGER NOT NULL)"
            )
        )
        yield box


async def balances(mailbox: Mailbox) -> dict[str, int]:
    rows = await mailbox.state_file.ask(
        lambda connection: connection.execute("SELECT id, balance FROM account").fetchall()
    )
    return dict(rows)


async def deposit(tx: Transaction, who: str) -> int:
    """Read, add one, write."""
    row = await tx.fetch_one("SELECT balance FROM account WHERE id=?", (who,))
    balance = row[0] + 1 if row else 1
    await tx.execute("INSERT OR REPLACE INTO account VALUES(?, ?)", (who, balance))
    return balance


async def test_effects_and_reply_are_there_together(mailbox: Mailbox) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            return str(await deposit(tx, "ann")).encode()

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("a"))
        assert await actor.reply_to("a") == b"1"
        assert await balances(mailbox) == {"ann": 1}
        assert await put(mailbox, request("a")) == Repeated(b"1")


async def test_the_reply_waits_for_the_commit(mailbox: Mailbox) -> None:
    seen: list[dict[str, bytes]] = []

    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            await tx.execute("INSERT INTO account VALUES('ann', 1)")
        asyncio.get_running_loop().call_soon(lambda: seen.append(dict(actor.replies)))
        return b"ok"

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("a"))
        await actor.reply_to("a")
    assert seen == [{}]


async def test_serial_handlers_see_what_those_before_them_wrote(mailbox: Mailbox) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            await deposit(tx, "ann")
            return str(await deposit(tx, "ann")).encode()

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        for n in range(50):
            put(mailbox, request(str(n)))
        await actor.until(lambda: len(actor.replies) == 50)
        assert actor.replies["49"] == b"100"
        assert await balances(mailbox) == {"ann": 100}


async def test_handlers_side_by_side_never_lose_each_others_effects(mailbox: Mailbox) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            balance = await deposit(tx, "shared")
            await asyncio.sleep(0)
        return str(balance).encode()

    actor = Actor(mailbox, handle, key_of=lambda item: str(int(item.request_id) % 8))
    async with actor.scheduler:
        for n in range(40):
            put(mailbox, request(str(n)))
        await actor.until(lambda: len(actor.replies) == 40)
        assert sorted(int(reply) for reply in actor.replies.values()) == list(range(1, 41))
        assert await balances(mailbox) == {"shared": 40}


async def test_a_request_whose_reads_never_hold_ends_as_aborted(mailbox: Mailbox) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            await tx.fetch_one("SELECT random()")
        return b"never"

    actor = Actor(mailbox, handle, key_of=lambda item: "key")
    async with actor.scheduler:
        put(mailbox, request("a"))
        assert (await actor.reply_to("a")).startswith(b"ABORTED")
        await settled(mailbox)
        assert mailbox.depth == 0


async def test_a_failed_handler_leaves_no_effect(
    mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            await deposit(tx, "ann")
        raise ValueError("after the block")

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("a"))
        assert (await actor.reply_to("a")).startswith(b"INTERNAL")
        assert await balances(mailbox) == {}


async def test_an_exception_out_of_the_block_drops_what_the_block_noted(
    mailbox: Mailbox,
) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            await deposit(tx, "kept")
        try:
            async with turn.transaction() as tx:
                await deposit(tx, "dropped")
                raise KeyError("no")
        except KeyError:
            return b"ok"

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("a"))
        await actor.reply_to("a")
        assert await balances(mailbox) == {"kept": 1}


async def test_a_statement_that_fails_at_the_commit_fails_the_request_alone(
    mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            await tx.execute("INSERT INTO account VALUES(?, 1)", (item.request_id,))
            if item.request_id == "bad":
                await tx.execute("INSERT INTO account VALUES('bad', 2)")
        return b"ok"

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        for name in ("a", "bad", "b"):
            put(mailbox, request(name))
        assert await actor.reply_to("b") == b"ok"
        assert actor.replies["bad"] == (
            b"INTERNAL: demo.Chat.Say: its transaction failed with IntegrityError; "
            b"its log has it as request bad"
        )
        assert await balances(mailbox) == {"a": 1, "b": 1}


async def test_check_raises_what_the_commit_would_so_that_the_handler_can_answer(
    mailbox: Mailbox,
) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        try:
            async with turn.transaction() as tx:
                await tx.execute("INSERT INTO account VALUES('x', NULL)")
                await tx.check()
        except sqlite3.IntegrityError:
            return b"refused"
        return b"never"

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("a"))
        assert await actor.reply_to("a") == b"refused"


async def test_a_read_that_fails_is_not_kept(mailbox: Mailbox) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            with pytest.raises(sqlite3.OperationalError):
                await tx.fetch_all("SELECT * FROM nowhere")
            return str(await deposit(tx, "ann")).encode()

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("a"))
        assert await actor.reply_to("a") == b"1"


async def test_a_deferred_reply_carries_its_effects(mailbox: Mailbox) -> None:
    kept: list[Deferred] = []

    async def handle(item: Request, turn: Turn) -> Deferred:
        async with turn.transaction() as tx:
            await deposit(tx, "ann")
        kept.append(turn.defer())
        return kept[0]

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("a"))
        await actor.until(lambda: bool(kept) and actor.scheduler.deferred == 1)
        assert await balances(mailbox) == {}
        kept[0].finish(Outcome(b"ok"))
        await actor.reply_to("a")
        assert await balances(mailbox) == {"ann": 1}


async def test_the_mailboxs_own_tables_are_not_the_handlers_to_touch(mailbox: Mailbox) -> None:
    tx = mailbox.transaction()
    with pytest.raises(LocalProtocolError, match="enter the transaction"):
        await tx.execute("SELECT 1")
    async with tx:
        for sql in ("DELETE FROM actr_inbox", "COMMIT", "PRAGMA user_version=7"):
            with pytest.raises(LocalProtocolError):
                await tx.execute(sql)
        assert tx.is_empty


async def test_a_transaction_is_bounded_and_over_with_its_handler(mailbox: Mailbox) -> None:
    tx = mailbox.transaction()
    async with tx:
        for _ in range(MAX_STATEMENTS):
            await tx.execute("SELECT ?", ("xy",))
        with pytest.raises(LimitError):
            await tx.execute("SELECT 1")
        assert tx.size == 66 * MAX_STATEMENTS
        tx.seal(validate=False)
        with pytest.raises(LocalProtocolError, match="over"):
            await tx.execute("SELECT 1")


async def test_more_rows_than_a_read_may_give_is_an_error(mailbox: Mailbox) -> None:
    async with mailbox.transaction() as tx:
        with pytest.raises(LimitError):
            await tx.fetch_all(
                "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n LIMIT 10001)"
                " SELECT x FROM n"
            )


UNFIT = [
    pytest.param("SELECT ?", (1 << 63,), id="a number too large"),
    pytest.param("SELECT ?", ("\ud800",), id="half of a surrogate pair"),
    pytest.param("SELECT ?", (object(),), id="an object"),
    pytest.param("SELECT ?", [0] * 40_000, id="too many parameters"),
    pytest.param("SELECT '\0'", (), id="a NUL in the statement"),
    pytest.param("SELECT '\ud800'", (), id="half of a surrogate pair in the statement"),
]


@pytest.mark.parametrize(("sql", "parameters"), UNFIT)
@pytest.mark.parametrize("way", ["execute", "fetch_all", "fetch_one"])
async def test_what_sqlite_cannot_take_is_an_error_in_the_handler_alone(
    mailbox: Mailbox, way: str, sql: str, parameters: tuple[object, ...]
) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            if item.request_id == "bad":
                try:
                    await getattr(tx, way)(sql, parameters)
                except PeerError as exc:
                    return type(exc).__name__.encode()
            return str(await deposit(tx, "ann")).encode()

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("bad"))
        put(mailbox, request("good"))
        assert await actor.reply_to("bad") in (b"LocalProtocolError", b"LimitError")
        assert await actor.reply_to("good") == b"1"


@pytest.mark.parametrize("sql", ["SELECT 1; SELECT 2", "SELECT ?", "SELECT (", "SELECT :a"])
async def test_a_statement_that_cannot_run_ends_its_request_alone(
    mailbox: Mailbox, sql: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            if item.request_id == "read":
                with pytest.raises((sqlite3.Error, PeerError)):
                    await tx.fetch_all(sql)
                return b"told"
            await deposit(tx, "ann")
            if item.request_id == "bad":
                await tx.execute(sql)
            return b"ok"

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        for name in ("read", "bad", "good"):
            put(mailbox, request(name))
        assert await actor.reply_to("good") == b"ok"
        assert await actor.reply_to("read") == b"told"
        assert (await actor.reply_to("bad")).startswith(b"INTERNAL: demo.Chat.Say: its transaction")
        assert await balances(mailbox) == {"ann": 1}


async def test_values_are_kept_as_they_were_when_they_were_given(mailbox: Mailbox) -> None:
    class Level(IntEnum):
        HIGH = 3

    async def handle(item: Request, turn: Turn) -> bytes:
        changing = bytearray(b"one")
        async with turn.transaction() as tx:
            await tx.execute("INSERT INTO account VALUES(?, ?)", (changing, Level.HIGH))
            changing[:] = b"two"
        return b"ok"

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("a"))
        await actor.reply_to("a")
    assert await balances(mailbox) == {b"one": 3}


async def test_the_effects_of_a_request_are_its_own_while_they_are_committed(
    tmp_path: Path,
) -> None:
    seen: list[frozenset[int]] = []

    async def handle(item: Request, turn: Turn) -> bytes:
        tx = turn.transaction()
        async with tx:
            await tx.execute("SELECT 1")
        apply = tx.seal(validate=False)

        def look(connection: Any) -> None:
            seen.append(read_running(str(tmp_path / "box.db-run")))
            apply(connection)

        tx.seal = lambda *, validate: look  # type: ignore[method-assign]
        return b"ok"

    async with Mailbox(tmp_path / "box.db") as mailbox:
        actor = Actor(mailbox, handle)
        async with actor.scheduler:
            put(mailbox, request("a"))
            await actor.reply_to("a")
    assert seen == [{1}]
    assert read_running(str(tmp_path / "box.db-run")) == frozenset()


ENDLESS = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n)"


@pytest.mark.parametrize(
    ("sql", "is_read"),
    [
        pytest.param(f"{ENDLESS} SELECT count(*) FROM n", True, id="a read"),
        pytest.param(f"{ENDLESS} SELECT i FROM n", True, id="a read with endless rows"),
        pytest.param(f"{ENDLESS} SELECT count(*) FROM n", False, id="at the commit"),
        pytest.param(f"INSERT INTO account {ENDLESS} SELECT i, i FROM n", True, id="a change"),
        pytest.param(f"INSERT INTO account {ENDLESS} SELECT i, i FROM n", False, id="effects"),
    ],
)
async def test_statements_that_never_end_are_ended_and_cost_their_own_request(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, sql: str, is_read: bool
) -> None:
    monkeypatch.setattr(transaction, "MAX_SECONDS", 0.1)
    monkeypatch.setattr(batches, "GROW_SECONDS", 0.1)

    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            await tx.execute("INSERT INTO account VALUES(?, 1)", (item.request_id,))
            if item.request_id == "endless":
                await tx.execute(sql)
                if is_read:
                    await tx.check()
        return b"ok"

    actor = Actor(mailbox, handle)
    async with asyncio.timeout(60), actor.scheduler:
        waiting = [put(mailbox, request(name)) for name in ("before", "endless", "behind")]
        assert await asyncio.gather(*waiting) == [STORED] * 3
        assert await actor.reply_to("behind") == b"ok"
        said = await actor.reply_to("endless")
        assert any(why in said for why in (b"LimitError", b"OperationalError", b"is full")), said
        assert set(await balances(mailbox)) == {"before", "behind"}


async def test_a_read_of_more_bytes_than_allowed_is_an_error(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "MAX_READ_BYTES", 1000)
    async with mailbox.transaction() as tx:
        assert await tx.fetch_one("SELECT zeroblob(1000)") == (bytes(1000),)
        with pytest.raises(LimitError, match="bytes of a query's rows: 1001 is over"):
            await tx.fetch_one("SELECT zeroblob(1001)")
        assert await tx.fetch_one("SELECT 1") == (1,), "the one that failed is not kept"


COUNTED = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 300000)"


async def test_a_process_that_was_stopped_while_it_read_has_not_read_for_too_long(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the wall clock, the statement has taken minutes."""
    monkeypatch.setattr(transaction, "time", leaping_clock())
    async with mailbox.transaction() as tx:
        row = await tx.fetch_one(f"{COUNTED} SELECT count(*) FROM n")
    assert row == (300_000,)


async def test_a_tell_whose_read_meets_a_locked_file_runs_again_when_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 1)
    monkeypatch.setattr(batches, "BUSY_MS", 1)
    monkeypatch.setattr(batches, "BUSY_AGAIN_MS", 1)
    path = tmp_path / "box.db"
    locked = asyncio.Event()
    rows: list[object] = []

    async def handle(item: Request, turn: Turn) -> None:
        await locked.wait()
        async with turn.transaction() as tx:
            rows.append(await tx.fetch_one("SELECT 1"))

    async with Mailbox(path) as mailbox:
        actor = Actor(mailbox, handle)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            async with actor.scheduler:
                await put(mailbox, request("a", tell=True))
                other.execute("BEGIN IMMEDIATE")
                locked.set()
                await actor.until(lambda: len(actor.started) == 2)
                other.execute("ROLLBACK")
                await actor.until(lambda: bool(rows))
        assert rows == [(1,)]
        assert mailbox.letters.buried == 0


async def test_a_read_of_a_locked_file_is_answered_and_may_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 1)
    monkeypatch.setattr(batches, "BUSY_MS", 1)
    monkeypatch.setattr(batches, "BUSY_AGAIN_MS", 1)
    path = tmp_path / "box.db"
    locked = asyncio.Event()

    async def handle(item: Request, turn: Turn) -> bytes:
        await locked.wait()
        async with turn.transaction() as tx:
            row = await tx.fetch_one("SELECT 1")
        return str(row).encode()

    async with Mailbox(path) as mailbox:
        actor = Actor(mailbox, handle)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            async with actor.scheduler:
                await put(mailbox, request("a"))
                other.execute("BEGIN IMMEDIATE")
                locked.set()
                answer = await actor.reply_to("a")
                assert answer.startswith(b"UNAVAILABLE")
                assert "Traceback" not in caplog.text, "it is no failure of the handler"
                other.execute("ROLLBACK")
                assert await put(mailbox, request("a")) == STORED, "it is not remembered as done"
                await actor.until(lambda: actor.replies["a"] == b"(1,)")
