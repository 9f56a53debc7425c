"""A batch of operations is one transaction; runs where the writer runs.

Where all of a batch is rows of one table, which is nearly always, it is one statement. Where
there is no room, changes of old rows are saved first, with the tenth of the database that is
kept for them, and new rows are refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from actr_peer.storage.database import RESERVE_SHARE, Connection, is_full, set_bound
from actr_peer.storage.operations import Finish, Insert, Operation, Row, Task

# The fewer distinct statements, the fewer to parse and keep; at most a third is padding.
_SIZES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
MAX_ROWS = _SIZES[-1]


class Upsert:
    """One statement that stores new rows and changes old ones.

    One statement is one step in SQLite, during which the interpreter is free for the loop:
    hundreds of small ones would each have to win it back (decision 0008).

    Args:
        columns: The first is the integer primary key.
        changes: Columns that a row with a known key changes; the others stay as they are.
    """

    def __init__(self, table: str, columns: Sequence[str], changes: Sequence[str]) -> None:
        self._width = len(columns)
        sets = ", ".join(f"{column}=excluded.{column}" for column in changes)
        one = f"({','.join('?' * self._width)})"
        self._statements = {
            size: f"INSERT INTO {table}({', '.join(columns)}) SELECT * FROM"  # noqa: S608
            f" (VALUES {','.join([one] * size)}) WHERE column1 IS NOT NULL"
            f" ON CONFLICT({columns[0]}) DO UPDATE SET {sets}"
            for size in _SIZES
        }

    def execute(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Write 1 to :data:`MAX_ROWS` rows."""
        count = len(rows)
        size = next(size for size in _SIZES if size >= count)
        values: list[Any] = [value for row in rows for value in row]
        values.extend([None] * (self._width * (size - count)))
        connection.execute(self._statements[size], values)


class Batches:
    """Applies batches to one connection.

    Args:
        pages: The bound of the database; a tenth of it is the reserve.
    """

    def __init__(self, connection: Connection, upsert: Upsert, pages: int) -> None:
        self._connection = connection
        self._upsert = upsert
        self._pages = pages
        set_bound(connection, pages - pages // RESERVE_SHARE)

    def apply(self, batch: Sequence[Operation]) -> None:
        """Commit ``batch``; what could not be done has its ``error`` set afterwards."""
        rows = [op.row for op in batch if isinstance(op, Insert | Finish)]
        try:
            if len(rows) == len(batch) <= MAX_ROWS:
                self._upsert.execute(self._connection, rows)
            else:
                self._apply_mixed(batch)
        except sqlite3.Error as exc:
            if not is_full(exc):
                raise
            self._undo()
            self._apply_full(batch)

    def _apply_mixed(self, batch: Sequence[Operation]) -> None:
        """One transaction, in order: runs of rows as one statement, each task by itself."""
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        rows: list[Row] = []
        for operation in batch:
            if isinstance(operation, Insert | Finish):
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
        except sqlite3.Error as exc:
            if is_full(exc) or not self._connection.in_transaction:
                raise
            task.error = exc
            execute("ROLLBACK TO task")
        execute("RELEASE task")

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _apply_full(self, batch: Sequence[Operation]) -> None:
        """No room for all: what is vital first, into the reserve; then each other alone."""
        vital = [op for op in batch if isinstance(op, Finish)]
        tasks = [op for op in batch if op.is_vital and not isinstance(op, Finish)]
        set_bound(self._connection, self._pages)
        try:
            if vital:
                self._try(vital)
            for task in tasks:
                self._try([task])
        finally:
            set_bound(self._connection, self._pages - self._pages // RESERVE_SHARE)
        error: sqlite3.Error | None = None
        for operation in batch:
            if isinstance(operation, Finish) or (
                isinstance(operation, Task) and operation.is_vital
            ):
                continue
            if error is not None and isinstance(operation, Insert):
                operation.error = error  # the first was refused, and each try costs a write
                continue
            self._try([operation])
            error = error or operation.error

    def _try(self, operations: Sequence[Operation]) -> None:
        """One transaction; where it does not fit, all of ``operations`` get the error."""
        try:
            self._apply_mixed(operations)
        except sqlite3.Error as exc:
            if not is_full(exc):
                raise
            self._undo()
            for operation in operations:
                operation.error = exc
