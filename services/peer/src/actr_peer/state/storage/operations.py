"""What a writer is asked to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actr_peer.state.storage.database import Connection
from actr_peer.state.storage.pages import NORMAL, URGENT, VITAL

Row = tuple[Any, ...]
"""One value a column. Of a row that is there already, the columns that do not change take any
value; not None, which sqlite3 looks up an adapter for (0.3 µs each, with the interpreter held)."""

_SMALL_BYTES = 4096


def blob(data: bytes) -> bytes | bytearray:
    """``data`` for a row: sqlite3 binds a bytearray at once and looks up an adapter for bytes,
    which costs more than copying up to some pages."""
    return bytearray(data) if len(data) <= _SMALL_BYTES else data


class Operation:
    """One thing for the writer to do.

    Attributes:
        size: About how many bytes it writes.
        error: Set when it could not be done; its writes are undone then. Not always the
            database's: a value that SQLite cannot bind is a ``OverflowError``, for one.
        reserve: How much of the pages that are held back it may use; see ``storage.pages``.
    """

    reserve: int

    __slots__ = ("error", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.error: Exception | None = None


class RowWrite(Operation):
    """Write one row of the table."""

    __slots__ = ("owner", "row")

    def __init__(self, owner: Any, row: Row, size: int) -> None:
        self.size = size
        self.error = None
        self.owner = owner
        self.row = row


class Insert(RowWrite):
    """Store a new row; refused where there is no room."""

    __slots__ = ()
    reserve = NORMAL


class UrgentInsert(Insert):
    """Store a new row, into the first reserve if need be."""

    __slots__ = ()
    reserve = URGENT


class Finish(RowWrite):
    """Change a row that is there; it may use the whole reserve."""

    __slots__ = ()
    reserve = VITAL


class Task(Operation):
    """Anything else: ``work`` runs inside the batch's transaction, in a savepoint of its own.

    ``done`` is called on the loop after the commit, with ``result`` or ``error`` set.

    """

    __slots__ = ("done", "reserve", "result", "work")

    def __init__(
        self,
        work: Callable[[Connection], Any],
        done: Callable[[Task], None],
        *,
        size: int = 0,
        reserve: int = NORMAL,
    ) -> None:
        self.size = size
        self.error = None
        self.work = work
        self.done = done
        self.reserve = reserve
        self.result: Any = None
