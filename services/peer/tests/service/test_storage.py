"""The files under mailbox and outbox: lock, run journal, room."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Timer

import pytest

from actr_peer.errors import BusyError, ConfigError
from actr_peer.storage.batches import Batches, Upsert
from actr_peer.storage.database import FileLock, configure, connect, file_size, is_full
from actr_peer.storage.journal import SLOTS, NoJournal, RunJournal, read_running
from actr_peer.storage.operations import Finish, Insert, Task
from actr_peer.storage.pages import URGENT, VITAL, Pages

pytestmark = pytest.mark.service


def test_one_lock_holds_at_a_time(tmp_path: Path) -> None:
    first, second = FileLock(str(tmp_path / "x")), FileLock(str(tmp_path / "x"))
    first.take()
    with pytest.raises(BusyError):
        second.take()
    first.release()
    first.release()
    second.take()
    second.release()
    with pytest.raises(ConfigError):
        FileLock(str(tmp_path / "nowhere" / "x")).take()


def test_the_journal_tells_the_next_start_what_ran(tmp_path: Path) -> None:
    path = str(tmp_path / "run")
    journal = RunJournal(path)
    slots = [journal.enter(sequence) for sequence in (7, 8, 9)]
    journal.defer(slots[1])
    journal.leave(slots[2])
    assert read_running(path) == {7, 8}
    journal.close()
    journal = RunJournal(path)
    assert journal.interrupted() == {7: False, 8: True}
    generation = journal.generation
    journal.restart()
    assert (journal.interrupted(), journal.generation) == ({}, generation + 1)
    journal.close()


def test_the_journal_has_room_for_all_that_may_run(tmp_path: Path) -> None:
    journal = RunJournal(str(tmp_path / "run"))
    slots = [journal.enter(n + 1) for n in range(SLOTS)]
    assert len(journal.interrupted()) == SLOTS
    for slot in slots:
        journal.leave(slot)
    assert journal.interrupted() == {}
    journal.close()


def test_a_short_or_missing_journal_is_as_good_as_none(tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert read_running(str(path)) == frozenset()
    path.write_bytes(b"\0" * 13)
    assert read_running(str(path)) == frozenset()
    RunJournal(str(path)).close()
    assert path.stat().st_size == 8 * (SLOTS + 1)


def test_no_journal_takes_everything_and_keeps_nothing() -> None:
    journal = NoJournal()
    journal.defer(journal.enter(5))
    journal.leave(0)


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
