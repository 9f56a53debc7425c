"""The room in a database file: taken from the disk before it is needed, a part of it held back.

A full disk must not stop what was accepted from being completed. SQLite could not even
acknowledge there: pages that exist only in the log cannot be checkpointed, so the log cannot be
used again. So the file never has a page without a block on the disk: it grows in steps, by
:meth:`Pages.grow`, and where the disk has no room for a step, new rows are refused while old ones
change within the pages that are there. Two blobs, the ballast, hold pages back: the first is
given up for urgent rows, the second for completions. Once there is room they are put back, at
the next operation: nothing polls.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from actr_peer.errors import BusyError, ConfigError
from actr_peer.state.storage.database import (
    PAGE_BYTES,
    Connect,
    Connection,
    Durability,
    configure,
    file_size,
    is_full,
    is_locked,
    log_bytes,
    promise,
    set_bound,
)
from actr_peer.state.storage.watch import Watch

STEP_PAGES = 256
"""Growth: 1 MiB, or a sixteenth of a small database."""
BALLAST_SHARE = 20
"""One part in so many of the database is each of the two blobs, at most :data:`STEP_PAGES`."""

MAX_REWRITES = 32
"""Of the ballast, to make the log long."""

_GROWTH = 9
"""The row that takes a new step's pages for a moment; a crash may leave it."""

NORMAL, URGENT, VITAL = range(3)
"""How much of the ballast an operation may use: none, the first blob, both."""


class Pages:
    """The pages of one file; used where the writer runs.

    Args:
        path: Of the file on a real disk; one that does not exist is grown blindly.
        bound: Pages the file may ever have.
    """

    def __init__(self, connection: Connection, path: str, bound: int) -> None:
        self._connection = connection
        self._bound = bound
        self._step = max(8, min(STEP_PAGES, bound // 16))
        self._ballast_bytes = min(STEP_PAGES, bound // BALLAST_SHARE) * PAGE_BYTES
        # Never closed before the connection: closing any descriptor of a file drops the locks
        # that SQLite holds on it (sqlite.org/howtocorrupt.html, 2.2).
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC) if os.path.isfile(path) else None
        connection.execute(
            "CREATE TABLE IF NOT EXISTS actr_ballast(level INTEGER PRIMARY KEY, pad BLOB)"
        )
        connection.execute("DELETE FROM actr_ballast WHERE level=?", (_GROWTH,))
        held = connection.execute("SELECT count(*) FROM actr_ballast").fetchone()[0]
        self.spent = VITAL - held
        """Blobs given up: 0 to 2."""
        self._limit()
        self.restore()
        if self._file is not None:
            self._lengthen_log(path + "-wal")

    def _lengthen_log(self, path: str) -> None:
        """Write the ballast through the log until it is long; its blocks then stay with it."""
        execute = self._connection.execute
        checkpoint = execute("PRAGMA wal_autocheckpoint").fetchone()[0]
        execute("PRAGMA wal_autocheckpoint=0").fetchall()
        try:
            for _ in range(MAX_REWRITES):
                if file_size(path) >= log_bytes(self._bound):
                    break
                # SQLite leaves pages alone that would be as they were: hence random.
                execute("UPDATE actr_ballast SET pad=randomblob(?)", (self._ballast_bytes,))
            execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
        except sqlite3.Error as exc:
            if not is_full(exc):  # else the log grows as it is used, if it can
                raise
        finally:
            execute(f"PRAGMA wal_autocheckpoint={checkpoint}").fetchall()

    def close(self) -> None:
        """After the connection."""
        if self._file is not None:
            os.close(self._file)

    def _count(self) -> int:
        count: int = self._connection.execute("PRAGMA page_count").fetchone()[0]
        return count

    def _free(self) -> int:
        count: int = self._connection.execute("PRAGMA freelist_count").fetchone()[0]
        return count

    def _limit(self) -> None:
        """Let no statement add pages: that is for :meth:`grow`."""
        set_bound(self._connection, self._count())

    def grow(self, size: int = 0) -> bool:
        """Add a step to the file, with blocks on the disk; False if there is no room for it.

        Args:
            size: Bytes that are to be written: as many steps are added as these need. A long
                row would be written as often as there are steps, each time in vain.
        """
        have = self._count()
        missing = size // PAGE_BYTES - self._free()
        want = min(self._bound, have + max(1, -(-missing // self._step)) * self._step)
        if want <= have or not self._allocate(have, want):
            return False
        execute = self._connection.execute
        set_bound(self._connection, want)
        try:
            execute("BEGIN IMMEDIATE")
            # It takes the free pages first; four in hand for the trees of the tables.
            size = max(1, self._free() + want - have - 4) * (PAGE_BYTES - 4)
            execute("INSERT INTO actr_ballast VALUES(?, zeroblob(?))", (_GROWTH, size))
            execute("COMMIT")
            execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            execute("DELETE FROM actr_ballast WHERE level=?", (_GROWTH,))
        except sqlite3.Error as exc:
            if not is_full(exc):
                raise
            if self._connection.in_transaction:
                execute("ROLLBACK")
            execute("DELETE FROM actr_ballast WHERE level=?", (_GROWTH,))
            return False
        finally:
            self._limit()
        return self._count() > have

    def _allocate(self, have: int, want: int) -> bool:
        if self._file is None or not hasattr(os, "posix_fallocate"):
            return True
        try:
            os.posix_fallocate(self._file, have * PAGE_BYTES, (want - have) * PAGE_BYTES)
        except OSError:
            return False
        return True

    def spend(self, reserve: int) -> bool:
        """Give up a blob, for an operation that may use ``reserve`` of them; False if gone."""
        if self.spent >= reserve:
            return False
        self.spent += 1
        self._connection.execute("DELETE FROM actr_ballast WHERE level=?", (self.spent,))
        return True

    def restore(self) -> None:
        """Put back what was given up, as far as there is room for it."""
        while self.spent:
            if self._free() * PAGE_BYTES <= self._ballast_bytes + 4 * PAGE_BYTES:
                if not self.grow():
                    return
                continue
            try:
                self._connection.execute(
                    "INSERT INTO actr_ballast VALUES(?, zeroblob(?))",
                    (self.spent, self._ballast_bytes),
                )
            except sqlite3.Error as exc:
                if not is_full(exc):
                    raise
                return
            self.spent -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How a state file is opened.

    Attributes:
        max_bytes: Of the database file.
        prepare: Makes the tables and recovers, before the file's room is limited.
    """

    path: str
    durability: Durability
    max_bytes: int
    connect: Connect
    prepare: Callable[[Connection], None]

    def open(self, stack: ExitStack) -> tuple[Connection, Pages, Watch | None]:
        """Open the file, take its room, and watch it where it is on a disk; ``stack`` closes it.

        Raises:
            BusyError: If another program has it locked, and keeps it so.
            ConfigError: If it cannot be used.
        """
        try:
            connection = self.connect(self.path)
            after = stack.enter_context(ExitStack())
            stack.callback(connection.close)
            bound = configure(connection, self.path, self.durability, self.max_bytes)
            self.prepare(connection)
            pages = Pages(connection, self.path, bound)
            after.callback(pages.close)
            promise(connection, self.durability)
            watch = None
            if os.path.isfile(self.path):
                watch = Watch(connection, self.path, bound, PAGE_BYTES)
        except sqlite3.Error as exc:
            if is_locked(exc):
                raise BusyError(
                    f"state file {self.path} is locked by another program: end that, then start"
                ) from exc
            raise ConfigError(
                f"state file {self.path}: {exc}; check its folder and its volume"
            ) from exc
        return connection, pages, watch
