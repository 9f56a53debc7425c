"""A batch of operations is one transaction; runs where the writer runs.

Where all of a batch is rows of one table, which is nearly always, it is one statement. Where
there is no room, changes of old rows are saved first, into the pages that are held back for
them, and new rows are refused (:mod:`actr_peer.state.storage.pages`).
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Sequence
from itertools import chain
from math import inf
from typing import Any

from actr_peer.state.storage.database import (
    BUSY_AGAIN_MS,
    BUSY_MS,
    Connection,
    is_full,
    is_locked,
    is_ruined,
    no_room,
    set_busy_timeout,
)
from actr_peer.state.storage.operations import Finish, Insert, Operation, Row, RowWrite, Task
from actr_peer.state.storage.pages import VITAL, Pages
from actr_peer.state.storage.watch import Watch

log = logging.getLogger(__name__)

# The fewer distinct statements, the fewer to parse and keep; at most a fifth of many is padding.
_SIZES = (
    *(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128),
    *(160, 192, 224, 256, 320, 384, 448, 512),
)
MAX_ROWS = _SIZES[-1]
GROW_SECONDS = 2.0
"""Of the processor, after which a batch is given no more room: a statement that fills any room is
played anew after each step."""


class Upsert:
    """One statement that stores new rows and changes old ones.

    One statement is one step in SQLite, during which the interpreter is free for the loop:
    hundreds of small ones would each have to win it back (decision 0008).

    Args:
        columns: The first is the integer primary key, above 0.
        changes: Columns that a row with a known key changes; the others stay as they are.
    """

    def __init__(self, table: str, columns: Sequence[str], changes: Sequence[str]) -> None:
        self._width = len(columns)
        sets = ", ".join(f"{column}=excluded.{column}" for column in changes)
        one = f"({','.join('?' * self._width)})"
        self._statements = {
            size: f"INSERT INTO {table}({', '.join(columns)}) SELECT * FROM"  # noqa: S608
            f" (VALUES {','.join([one] * size)}) WHERE column1 > 0"
            f" ON CONFLICT({columns[0]}) DO UPDATE SET {sets}"
            for size in _SIZES
        }

    def statement(self, rows: Sequence[Row]) -> tuple[str, list[Any]]:
        """What writes 1 to :data:`MAX_ROWS` rows, and its parameters."""
        count = len(rows)
        size = next(size for size in _SIZES if size >= count)
        values: list[Any] = list(chain.from_iterable(rows))
        values.extend([0] * (self._width * (size - count)))
        return self._statements[size], values

    def execute(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Write 1 to :data:`MAX_ROWS` rows."""
        connection.execute(*self.statement(rows))


class _EndedAll(Exception):  # noqa: N818 - never leaves this module
    """A task's statement ended the transaction of the whole batch."""

    def __init__(self, task: Task, cause: Exception) -> None:
        super().__init__(str(cause))
        self.task = task
        self.cause = cause


class Batches:
    """Applies batches to one connection.

    Args:
        pages: The room in its file.
        watch: Whether it is still the file that was opened; None: nobody looks.
    """

    def __init__(
        self, connection: Connection, upsert: Upsert, pages: Pages, watch: Watch | None = None
    ) -> None:
        self._connection = connection
        self._upsert = upsert
        self._pages = pages
        self._watch = watch
        self._waits = True
        """For another program that writes to the file."""
        self._is_locked = False
        """Another program has held the file for longer than that."""

    def apply_now(self, batch: Sequence[Operation]) -> bool:
        """Commit ``batch``, all of it rows, if there is room and nobody else writes; False:
        nothing was written."""
        watch = self._watch
        if watch is not None and (
            watch.trouble is not None or (watch.is_due and not watch.is_well())
        ):
            return False
        if self._pages.spent or not all(isinstance(op, RowWrite) for op in batch):
            return False
        if self._waits:
            set_busy_timeout(self._connection, 0)
            self._waits = False
        try:
            self._apply_all(batch)
        except Exception:  # noqa: BLE001 - apply() meets it again, and says whose it is
            self._undo()
            return False
        if self._is_locked:
            self._note_unlocked()
        return True

    def apply(self, batch: Sequence[Operation]) -> None:
        """Commit ``batch``; what could not be done has its ``error`` set afterwards.

        No operation can keep another from being done, whatever it raises.

        Raises:
            sqlite3.Error: If the file itself can no longer be written.
        """
        if not self._waits:
            set_busy_timeout(self._connection, BUSY_AGAIN_MS if self._is_locked else BUSY_MS)
            self._waits = True
        try:
            batch = self._without_new(batch)
            if self._pages.spent:
                self._pages.restore()
            self._apply_in_room(batch)
        except sqlite3.Error as exc:
            self._undo()
            if not is_locked(exc):
                raise
            self._postpone(batch, exc)  # nothing was written: the room could not be looked at

    def _without_new(self, batch: Sequence[Operation]) -> Sequence[Operation]:
        """What may be written to the file as it is."""
        if self._watch is None:
            return batch
        if self._watch.trouble is not None or self._watch.is_due:
            self._watch.look()
        trouble = self._watch.trouble
        if trouble is None:
            return batch
        for operation in batch:
            if isinstance(operation, Insert):
                operation.error = trouble
        return [operation for operation in batch if not isinstance(operation, Insert)]

    def _apply_in_room(self, batch: Sequence[Operation]) -> None:
        """All of it in one transaction; where there is no room for that, as much as there is."""
        if self._pages.spent:
            self._apply_sparingly(batch)
            return
        end, size = inf, 0
        while True:
            try:
                self._settle(batch)
            except sqlite3.Error as exc:
                if not is_full(exc):
                    raise
                self._undo()
                now = time.thread_time()
                if end == inf:  # for the first time
                    end, size = now + GROW_SECONDS, sum(operation.size for operation in batch)
                if now < end and (self._pages.grow(size) or self._pages.grow()):
                    size = 0
                    continue
                self._apply_sparingly(batch)
            return

    def _settle(self, operations: Sequence[Operation]) -> None:
        """One transaction; an operation that cannot be written is told so and left out.

        Raises:
            sqlite3.Error: If there is no room, or the file is ruined; nothing is written then.
        """
        left = list(operations)
        while left:
            try:
                self._apply_all(left)
            except _EndedAll as exc:
                exc.task.error = exc.cause
                left.remove(exc.task)
                continue
            except Exception as exc:
                self._undo()
                if is_locked(exc):
                    self._postpone(left, exc)
                elif is_full(exc) or is_ruined(exc):
                    raise
                elif len(left) == 1:
                    left[0].error = exc
                else:
                    for operation in left:
                        self._settle_alone(operation)
                return
            break
        if self._is_locked:
            self._note_unlocked()

    def _settle_alone(self, operation: Operation) -> None:
        try:
            self._settle([operation])
        except sqlite3.Error as exc:
            if not is_full(exc):
                raise
            self._undo()
            self._apply_sparingly([operation])

    def _apply_all(self, batch: Sequence[Operation]) -> None:
        rows = [op.row for op in batch if isinstance(op, RowWrite)]
        if len(rows) == len(batch) <= MAX_ROWS:
            self._upsert.execute(self._connection, rows)
        else:
            self._apply_mixed(batch)

    def _apply_mixed(self, batch: Sequence[Operation]) -> None:
        """One transaction, in order: runs of rows as one statement, each task by itself."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        rows: list[Row] = []
        for operation in batch:
            if isinstance(operation, RowWrite):
                rows.append(operation.row)
                continue
            self._write(rows)
            assert isinstance(operation, Task)
            self._perform(operation)
        self._write(rows)
        execute("COMMIT")

    def _write(self, rows: list[Row]) -> None:
        for start in range(0, len(rows), MAX_ROWS):
            self._upsert.execute(self._connection, rows[start : start + MAX_ROWS])
        rows.clear()

    def _perform(self, task: Task) -> None:
        """Run a task in a savepoint; its failure undoes its own writes only."""
        execute = self._connection.execute
        task.error = None
        execute("SAVEPOINT task")
        try:
            task.result = task.work(self._connection)
        except Exception as exc:
            if isinstance(exc, sqlite3.Error) and (is_full(exc) or is_locked(exc)):
                raise
            if not self._connection.in_transaction:
                raise _EndedAll(task, exc) from exc
            task.error = exc
            execute("ROLLBACK TO task")
        execute("RELEASE task")

    def _postpone(self, batch: Sequence[Operation], error: Exception) -> None:
        """Another program holds the file: refuse what can be refused, and keep the rest."""
        if not self._is_locked:
            log.error("state file is locked by another program; nothing is taken until it ends")
        self._is_locked = True
        self._waits = False
        for operation in batch:
            operation.error = error

    def _note_unlocked(self) -> None:
        if self._is_locked:
            log.warning("state file is no longer locked")
            self._is_locked = self._waits = False

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _apply_sparingly(self, batch: Sequence[Operation]) -> None:
        """There is no room for all: completions first, together; then each other alone."""
        vital = [op for op in batch if isinstance(op, Finish)]
        others = [op for op in batch if not isinstance(op, Finish)]
        if vital:
            self._try(vital, VITAL)
        refused = -1
        for operation in sorted(others, key=lambda op: -op.reserve):
            if isinstance(operation, Insert) and operation.reserve == refused:
                operation.error = no_room()  # a smaller one must not overtake the one before
                continue
            self._try([operation], operation.reserve)
            if isinstance(operation, Insert) and operation.error is not None:
                refused = operation.reserve

    def _try(self, operations: Sequence[Operation], reserve: int) -> None:
        """One transaction, into the reserve if need be, and if it may; else smaller ones."""
        while True:
            try:
                if self._pages.spent > reserve and isinstance(operations[0], Insert):
                    raise no_room()  # or it would take what was given up for others
                self._settle(operations)
            except sqlite3.Error as exc:
                if not is_full(exc):
                    raise
                self._undo()
                if self._spend(reserve):
                    continue
                if len(operations) > 1:  # the log may have room for half of them at a time
                    middle = len(operations) // 2
                    self._try(operations[:middle], reserve)
                    self._try(operations[middle:], reserve)
                else:
                    operations[0].error = exc
            return

    def _spend(self, reserve: int) -> bool:
        try:
            return self._pages.spend(reserve)
        except sqlite3.Error as exc:
            if not is_full(exc):
                raise
            return False  # not even for that: the disk fails
