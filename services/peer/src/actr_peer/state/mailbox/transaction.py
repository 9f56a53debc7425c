"""What a handler writes together with the completion of its request (docs/mailbox.md).

Statements are noted in order and applied by the writer, in one transaction with the
completion. A read shows what is committed plus what this transaction has noted: it is played
to the reader and undone again. Where handlers run side by side, the reads are repeated at the
commit, and a transaction that would now read something else is not applied: what it decided
on no longer holds.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from types import TracebackType
from typing import Any, Self

from actr_peer.errors import LimitError, LocalProtocolError
from actr_peer.protocol.mailbox.statements import PLAIN, check_parameters, check_statement
from actr_peer.state.storage.database import Connection, Cursor, is_full, is_interrupted, is_locked
from actr_peer.state.storage.state_file import StateFile

MAX_STATEMENTS = 1000
"""In one transaction."""
MAX_ROWS = 10_000
"""That one read may give."""
MAX_READ_BYTES = 64 * 1024 * 1024
"""The same, in bytes of texts and blobs."""
MAX_SECONDS = 5
"""Of the processor, that all statements of a transaction may take together, each time they are
played: the writer is everybody's, and nothing is acknowledged meanwhile."""
_INSTRUCTIONS = 100_000
"""Of SQLite's machine between two looks at the clock: some milliseconds."""
_ROWS_AT_ONCE = 256

Parameters = Sequence[Any]


class ConflictError(sqlite3.Error):
    """Another transaction has changed what this one read; the request runs again."""


class _Step:
    """One statement; ``rows`` is what it gave when it was a read."""

    __slots__ = ("parameters", "rows", "sql")

    def __init__(self, sql: str, parameters: Parameters) -> None:
        self.sql = sql
        self.parameters = parameters
        self.rows: list[Any] | None = None


class Transaction:
    """Effects on the workload's own tables; from ``ctx.transaction()``.

    Leaving the block keeps its statements for the commit, an exception out of it drops them;
    a handler that fails drops all. The SQL is SQLite's. ``sqlite3.Error`` is raised as it is.

    Example::

        async with ctx.transaction() as tx:
            row = await tx.fetch_one("SELECT balance FROM account WHERE id=?", (who,))
            await tx.execute("UPDATE account SET balance=? WHERE id=?", (row[0] + 1, who))
    """

    def __init__(self, state_file: StateFile[Any]) -> None:
        self._state_file = state_file
        self._steps: list[_Step] = []
        self._marks: list[int] = []
        self._is_over = False
        self.hindrance: sqlite3.Error | None = None
        """What kept a read from being made, and is not its handler's doing: the file has no room,
        or another program holds it."""

    async def __aenter__(self) -> Self:
        self._marks.append(len(self._steps))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        mark = self._marks.pop()
        if exc is not None:
            del self._steps[mark:]

    async def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Note one statement; it is run at the commit, and by every read until then.

        What it does wrong shows there: call :meth:`check` to have it raised before.

        Raises:
            LocalProtocolError: If the statement is not allowed, SQLite cannot take a value, or
                the handler has ended.
            LimitError: If there are too many, of statements or parameters.
        """
        self._note(sql, parameters)

    def _note(self, sql: str, parameters: Parameters) -> _Step:
        if self._is_over:
            raise LocalProtocolError("the transaction is over: its handler has ended")
        if not self._marks:
            raise LocalProtocolError("enter the transaction first: async with ctx.transaction()")
        check_statement(sql)
        if len(self._steps) >= MAX_STATEMENTS:
            raise LimitError(
                "statements in a transaction", limit=MAX_STATEMENTS, asked=len(self._steps) + 1
            )
        plain = tuple(value if type(value) in PLAIN else _plain(value) for value in parameters)
        check_parameters(plain)
        step = _Step(sql, plain)
        self._steps.append(step)
        return step

    async def fetch_all(self, sql: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """The rows of a query, or of a statement with RETURNING, as this transaction sees them.

        Raises:
            LocalProtocolError, LimitError: As :meth:`execute`; or more rows than allowed, or
                statements that take too long.
            sqlite3.Error: If this statement or one noted before fails; none is kept then.
        """
        step = self._note(sql, parameters)
        try:
            step.rows = await self._look()
        except BaseException:
            self._steps.remove(step)
            raise
        return step.rows

    async def fetch_one(self, sql: str, parameters: Parameters = ()) -> tuple[Any, ...] | None:
        """The first row, or None; else as :meth:`fetch_all`."""
        rows = await self.fetch_all(sql, parameters)
        return rows[0] if rows else None

    async def check(self) -> None:
        """Try what was noted so far, so that what fails is raised here.

        Raises:
            LimitError: If the statements take too long.
            sqlite3.Error: As the statement that fails.
        """
        await self._look()

    async def _look(self) -> list[Any]:
        """Play all steps to the end, undo them, return the rows of the last."""
        try:
            return await self._state_file.ask(_looker(tuple(self._steps)))
        except sqlite3.Error as exc:
            if is_full(exc) or is_locked(exc):
                self.hindrance = exc
            raise
        except sqlite3.Warning as exc:  # Python 3.11's, for two statements in one text
            raise LocalProtocolError(f"a statement cannot be run: {exc}") from exc

    @property
    def is_empty(self) -> bool:
        return not self._steps

    @property
    def size(self) -> int:
        """About how many bytes it writes."""
        return sum(
            64 + sum(len(value) for value in step.parameters if isinstance(value, str | bytes))
            for step in self._steps
        )

    def drop(self) -> None:
        """Forget all statements: the handler failed, and may run again."""
        self._steps.clear()

    def seal(self, *, validate: bool) -> Callable[[Connection], None]:
        """End the transaction; returns what applies it, to be run by the writer.

        Args:
            validate: Repeat the reads, and raise :class:`ConflictError` if one differs.
        """
        self._is_over = True
        steps = tuple(self._steps)

        def apply(connection: Connection) -> None:
            with _limited(connection):
                for step in steps:
                    rows = _rows(connection.execute(step.sql, step.parameters))
                    if validate and step.rows is not None and rows != step.rows:
                        raise ConflictError("another transaction has changed what this one read")

        return apply


def _looker(steps: tuple[_Step, ...]) -> Callable[[Connection], list[Any]]:
    def look(connection: Connection) -> list[Any]:
        rows: list[Any] = []
        connection.execute("SAVEPOINT look")
        try:
            with _limited(connection):
                for step in steps:
                    rows = _rows(connection.execute(step.sql, step.parameters))
        finally:
            if connection.in_transaction:  # an interrupted change ends the whole transaction
                connection.execute("ROLLBACK TO look")
                connection.execute("RELEASE look")
        return rows

    return look


@contextmanager
def _limited(connection: Connection) -> Iterator[None]:
    """Interrupt what takes too long (sqlite.org/c3ref/progress_handler.html).

    It counts the thread's own time: what a process that was stopped, or a machine that is busy with
    others, takes by the wall clock is nobody's statement's doing. Nobody looks at a clock before
    there is a need to.
    """
    begin = 0.0

    def is_over() -> bool:
        nonlocal begin
        now = time.thread_time()
        begin = begin or now
        return now - begin > MAX_SECONDS

    connection.set_progress_handler(is_over, _INSTRUCTIONS)
    try:
        yield
    except sqlite3.Error as exc:
        if not is_interrupted(exc):
            raise
        taken = math.ceil(time.thread_time() - begin)
        raise LimitError(
            "seconds of a transaction's statements", limit=MAX_SECONDS, asked=taken
        ) from exc
    finally:
        connection.set_progress_handler(None, 0)


def _rows(cursor: Cursor) -> list[Any]:
    """All rows, if there are not too many: an endless query must not fill the memory."""
    rows: list[Any] = []
    size = 0
    while some := list(islice(cursor, _ROWS_AT_ONCE)):
        rows += some
        size += sum(len(value) for row in some for value in row if isinstance(value, str | bytes))
        if len(rows) > MAX_ROWS:
            raise LimitError("rows of a query", limit=MAX_ROWS, asked=len(rows))
        if size > MAX_READ_BYTES:
            raise LimitError("bytes of a query's rows", limit=MAX_READ_BYTES, asked=size)
    return rows


def _plain(value: Any) -> Any:
    """``value`` as SQLite stores it: what its adapter makes of it, as it is now.

    Raises:
        LocalProtocolError: If the adapter fails.
    """
    try:
        value = sqlite3.adapt(value, sqlite3.PrepareProtocol, value)
    except Exception as exc:
        raise LocalProtocolError(f"no SQLite value: {type(value).__name__}: {exc}") from exc
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    for kind, plain in _EXACT:
        if isinstance(value, kind):
            return plain(value)
    return value


_EXACT: tuple[tuple[type[Any], Callable[[Any], Any]], ...] = (
    (int, int.__pos__),
    (float, float.__pos__),
    (str, lambda value: str.__getitem__(value, slice(None))),
    (bytes, lambda value: bytes.__getitem__(value, slice(None))),
)
"""What SQLite stores of a subclass, such as an enum's: the value without its class."""
