"""The files under mailbox and outbox: lock, run journal, room."""

from __future__ import annotations

import random
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from actr_peer.errors import ConfigError
from actr_peer.state.storage.batches import Batches, Upsert
from actr_peer.state.storage.database import (
    PAGE_BYTES,
    configure,
    connect,
    file_size,
    is_full,
    is_locked,
)
from actr_peer.state.storage.journal import SLOTS, NoJournal, RunJournal, read_running
from actr_peer.state.storage.operations import Finish, Insert, Task
from actr_peer.state.storage.pages import URGENT, VITAL, Pages

pytestmark = pytest.mark.service


OWN = 0x1234_5678_9ABC
"""Identity of the database whose journal it is."""


def open_journal(path: Path, identity: int = OWN) -> RunJournal:
    journal = RunJournal(str(path))
    journal.belong(identity)
    return journal


def test_the_journal_tells_the_next_start_what_ran(tmp_path: Path) -> None:
    path = tmp_path / "run"
    journal = open_journal(path)
    slots = [journal.enter(sequence) for sequence in (7, 8, 9)]
    journal.defer(slots[1])
    journal.leave(slots[2])
    assert read_running(str(path)) == {7, 8}
    journal.close()
    journal = open_journal(path)
    assert journal.interrupted() == {7: False, 8: True}
    generation = journal.generation
    journal.restart()
    assert (journal.interrupted(), journal.generation) == ({}, generation + 1)
    journal.close()


def test_a_commit_of_effects_counts_as_running(tmp_path: Path) -> None:
    path = tmp_path / "run"
    journal = open_journal(path)
    journal.defer(journal.enter(8))
    journal.commit(8)
    journal.close()
    journal = open_journal(path)
    assert journal.interrupted() == {8: False}, "its statements ran: it is not merely deferred"
    journal.commit(0)
    assert journal.interrupted() == {8: True}
    journal.close()


def test_the_journal_has_room_for_all_that_may_run(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "run")
    slots = [journal.enter(n + 1) for n in range(SLOTS)]
    assert len(journal.interrupted()) == SLOTS
    for slot in slots:
        journal.leave(slot)
    assert journal.interrupted() == {}
    journal.close()


def test_the_next_request_writes_over_the_word_of_the_last_that_lingers(tmp_path: Path) -> None:
    path = tmp_path / "run"
    journal = open_journal(path)
    first, second = journal.enter(7), journal.enter(8)
    journal.lingers = True
    journal.leave(second)
    assert read_running(str(path)) == {7, 8}
    assert journal.enter(9) == second
    assert read_running(str(path)) == {7, 9}
    journal.settle()
    assert read_running(str(path)) == {7, 9}, "what has been written over is nobody's to settle"
    journal.leave(second)
    journal.leave(first)
    assert read_running(str(path)) == {7}, "one word at most lingers"
    journal.settle()
    assert read_running(str(path)) == frozenset()
    journal.close()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: b"", id="empty"),
        pytest.param(lambda data: data[:13], id="cut short"),
        pytest.param(lambda data: b"\xff" * len(data), id="all ones"),
        pytest.param(lambda data: (1 << 63).to_bytes(8, "little") + data[8:], id="2^63 in front"),
        pytest.param(lambda data: random.Random(1).randbytes(50_000), id="garbage, and too long"),
        pytest.param(
            lambda data: data[:32] + struct.pack("<1088Q", *(7 << 1 for _ in range(1088))),
            id="numbers of requests without their check",
        ),
    ],
)
def test_a_damaged_journal_blames_nobody_and_stops_nothing(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "run"
    journal = open_journal(path)
    journal.enter(7)
    journal.close()
    path.write_bytes(damage(path.read_bytes()))
    assert read_running(str(path)) == frozenset()
    journal = open_journal(path)
    assert journal.interrupted() == {}
    journal.restart()
    journal.enter(5)
    assert (journal.interrupted(), journal.generation) == ({5: False}, 1)
    journal.close()


@pytest.mark.parametrize("generation", [(1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_a_generation_always_fits_the_database(tmp_path: Path, generation: int) -> None:
    path = tmp_path / "run"
    open_journal(path).close()
    data = path.read_bytes()
    path.write_bytes(data[:16] + struct.pack("<Q", generation) + data[24:])
    journal = open_journal(path)
    assert 0 <= journal.generation < 1 << 63
    journal.restart()
    assert 0 <= journal.generation < 1 << 63
    journal.close()


def test_the_journal_of_another_file_blames_nobody(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "run")
    journal.enter(7)
    journal.close()
    journal = open_journal(tmp_path / "run", identity=OWN + 2)
    assert journal.interrupted() == {}
    journal.close()


def test_a_journal_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(ConfigError, match="run journal"):
        RunJournal(str(tmp_path / "run"))


def test_no_journal_takes_everything_and_keeps_nothing() -> None:
    journal = NoJournal()
    journal.defer(journal.enter(5))
    journal.leave(0)
    journal.commit(5)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    yield connection
    connection.close()


@pytest.fixture
def pages(database: sqlite3.Connection, tmp_path: Path) -> Iterator[Pages]:
    path = str(tmp_path / "x.db")
    bound = configure(database, path, "power", 4_000_000)
    database.execute("CREATE TABLE t(x)")
    room = Pages(database, path, bound)
    yield room
    database.close()
    room.close()


def grow_until_full(database: sqlite3.Connection, pages: Pages) -> None:
    """Fill the table with rows until nothing more may be added."""
    while True:
        try:
            database.execute("INSERT INTO t VALUES(zeroblob(20000))")
        except sqlite3.OperationalError as exc:
            if not is_full(exc):
                raise
            if not pages.grow():
                return


def test_the_log_is_made_long_before_it_is_needed(pages: Pages, tmp_path: Path) -> None:
    assert file_size(str(tmp_path / "x.db-wal")) >= 900_000


def test_the_file_never_has_a_page_without_a_block(
    pages: Pages, database: sqlite3.Connection, tmp_path: Path
) -> None:
    grow_until_full(database, pages)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    stat = (tmp_path / "x.db").stat()
    assert stat.st_blocks * 512 >= stat.st_size
    assert stat.st_size <= 4_000_000


def test_what_is_held_back_is_given_up_in_steps_and_put_back(
    pages: Pages, database: sqlite3.Connection
) -> None:
    grow_until_full(database, pages)
    assert pages.spent == 0
    assert not pages.spend(0)
    assert pages.spend(URGENT)
    assert not pages.spend(URGENT)
    database.execute("INSERT INTO t VALUES(zeroblob(100000))")
    assert pages.spend(VITAL)
    database.execute("INSERT INTO t VALUES(zeroblob(100000))")
    assert not pages.spend(VITAL)
    pages.restore()
    assert pages.spent == VITAL
    database.execute("DELETE FROM t")
    pages.restore()
    assert pages.spent == 0


def test_a_start_finds_what_was_given_up_and_what_a_crash_left(
    pages: Pages, database: sqlite3.Connection, tmp_path: Path
) -> None:
    grow_until_full(database, pages)
    pages.spend(URGENT)
    database.execute("INSERT INTO t VALUES(zeroblob(190000))")
    database.execute("INSERT INTO actr_ballast VALUES(9, zeroblob(10))")
    again = Pages(database, str(tmp_path / "x.db"), 4_000_000 // 4096)
    assert again.spent == 1
    levels = database.execute("SELECT level FROM actr_ballast").fetchall()
    assert levels == [(2,)]


def test_a_volume_without_room_grows_no_file(
    pages: Pages, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    while True:
        try:
            database.execute("INSERT INTO t VALUES(zeroblob(20000))")
        except sqlite3.OperationalError:
            break
    assert not pages.grow()


@pytest.fixture
def wide(tmp_path: Path) -> Iterator[tuple[sqlite3.Connection, Pages]]:
    """A database that may have 64 MB."""
    path = str(tmp_path / "wide.db")
    connection = sqlite3.connect(path, isolation_level=None)
    bound = configure(connection, path, "power", 64_000_000)
    connection.execute("CREATE TABLE rows(number INTEGER PRIMARY KEY, body BLOB)")
    room = Pages(connection, path, bound)
    yield connection, room
    connection.close()
    room.close()


def test_a_long_row_is_written_twice_at_most_however_far_the_file_grows_for_it(
    wide: tuple[sqlite3.Connection, Pages],
) -> None:
    connection, pages = wide
    tried: list[str] = []
    connection.set_trace_callback(tried.append)
    batches = Batches(connection, Upsert("rows", ("number", "body"), ("body",)), pages)
    insert = Insert(None, (1, bytearray(15_000_000)), 15_000_000)
    batches.apply([insert])
    assert insert.error is None
    assert sum("INTO rows" in statement for statement in tried) <= 2


def test_where_there_is_no_room_for_all_that_is_missing_the_file_grows_by_a_step(
    wide: tuple[sqlite3.Connection, Pages], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, pages = wide
    step = pages._step * PAGE_BYTES

    def nearly_full(file: int, offset: int, length: int) -> None:
        if length > step:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", nearly_full)
    batches = Batches(connection, Upsert("rows", ("number", "body"), ("body",)), pages)
    insert = Insert(None, (1, bytearray(3_000_000)), 3_000_000)
    batches.apply([insert])
    assert insert.error is None


def test_what_must_not_wait_writes_nothing_beside_another_program(
    pages: Pages, database: sqlite3.Connection, tmp_path: Path
) -> None:
    database.execute("CREATE TABLE rows(number INTEGER PRIMARY KEY, body BLOB)")
    batches = Batches(database, Upsert("rows", ("number", "body"), ("body",)), pages)
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
    with closing(other):
        other.execute("BEGIN IMMEDIATE")
        assert not batches.apply_now([Insert(None, (1, b"a"), 1)])
        other.execute("ROLLBACK")
        assert other.execute("SELECT count(*) FROM rows").fetchone() == (0,)
        assert batches.apply_now([Insert(None, (1, b"a"), 1), Finish(None, (1, b"b"), 1)])
        assert other.execute("SELECT * FROM rows").fetchall() == [(1, b"b")]

        # The thread waits again: a program that lets go of the file in time does no harm.
        other.execute("BEGIN IMMEDIATE")
        letting_go = Timer(0.05, other.execute, ["ROLLBACK"])
        letting_go.start()
        batches.apply([Insert(None, (2, b"c"), 1)])
        letting_go.join()


def test_what_must_not_wait_runs_nothing_but_rows(
    pages: Pages, database: sqlite3.Connection
) -> None:
    batches = Batches(database, Upsert("t", ("x",), ("x",)), pages)
    task = Task(lambda connection: pytest.fail("it ran"), lambda task: None)
    assert not batches.apply_now([task])


def test_a_connection_is_sqlite3s_with_transactions_in_our_hands() -> None:
    connection = connect(":memory:")
    connection.execute("CREATE TABLE t(x)")
    connection.execute("INSERT INTO t VALUES(1)")
    assert not connection.in_transaction
    connection.close()


@pytest.fixture
def batches(pages: Pages, database: sqlite3.Connection) -> Batches:
    database.execute("CREATE TABLE rows(number INTEGER PRIMARY KEY, body BLOB)")
    return Batches(database, Upsert("rows", ("number", "body"), ("body",)), pages)


def raise_(error: BaseException) -> object:
    raise error


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda c: c.execute("SELECT ?", (1 << 63,)), id="a number too large"),
        pytest.param(lambda c: c.execute("SELECT ?", ("\ud800",)), id="half a surrogate pair"),
        pytest.param(lambda c: c.execute("SELECT ?", (object(),)), id="an object"),
        pytest.param(lambda c: c.execute("SELECT 1; SELECT 2"), id="two statements"),
        pytest.param(lambda c: c.execute("ROLLBACK"), id="the end of everybody's transaction"),
        pytest.param(lambda c: raise_(RuntimeError("a bug")), id="a bug"),
        pytest.param(lambda c: raise_(MemoryError()), id="no memory"),
    ],
)
def test_what_one_task_raises_keeps_no_other_from_being_written(
    batches: Batches, database: sqlite3.Connection, work: Callable[[Any], object]
) -> None:
    done: list[Task] = []
    bad = Task(lambda c: (c.execute("INSERT INTO rows VALUES(9, 'x')"), work(c)), done.append)
    good = Task(lambda c: c.execute("INSERT INTO rows VALUES(3, 'c')"), done.append)
    batches.apply([Insert(None, (1, b"a"), 1), bad, good, Insert(None, (2, b"b"), 1)])
    assert bad.error is not None
    assert good.error is None
    assert database.execute("SELECT number FROM rows ORDER BY 1").fetchall() == [(1,), (2,), (3,)]


def test_a_row_that_cannot_be_written_is_left_out_and_told(
    batches: Batches, database: sqlite3.Connection
) -> None:
    rows = [Insert(None, (1, b"a"), 1), Insert(None, (2, 1 << 63), 1), Insert(None, (3, b"c"), 1)]
    assert not batches.apply_now(rows)
    batches.apply(rows)
    assert [type(row.error) for row in rows] == [type(None), OverflowError, type(None)]
    assert database.execute("SELECT number FROM rows ORDER BY 1").fetchall() == [(1,), (3,)]


def test_while_another_program_holds_the_file_operations_are_told_so_and_then_work_again(
    batches: Batches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actr_peer.state.storage.batches.BUSY_MS", 1)
    monkeypatch.setattr("actr_peer.state.storage.batches.BUSY_AGAIN_MS", 1)
    assert batches.apply_now([Insert(None, (7, b"g"), 1)])
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    with closing(other):
        other.execute("BEGIN IMMEDIATE")
        new, old = Insert(None, (1, b"a"), 1), Finish(None, (1, b"b"), 1)
        task = Task(lambda c: c.execute("DELETE FROM rows"), lambda task: None)
        for _ in range(2):
            batches.apply([new, task, old])
            for operation in (new, task, old):
                assert operation.error is not None
                assert is_locked(operation.error)
                operation.error = None
        other.execute("ROLLBACK")
        batches.apply([new, old])
        assert (new.error, old.error) == (None, None)
        assert other.execute("SELECT * FROM rows").fetchall() == [(1, b"b"), (7, b"g")]
