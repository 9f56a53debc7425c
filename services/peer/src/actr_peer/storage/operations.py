"""What a writer is asked to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from actr_peer.storage.database import Connection

Row = tuple[Any, ...]


class Operation:
    """One thing for the writer to do.

    Attributes:
        size: About how many bytes it writes.
        error: Set when it could not be done; its writes are undone then.
        is_vital: It may use the pages that are kept in reserve.
    """

    is_vital: bool

    __slots__ = ("error", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.error: sqlite3.Error | None = None


class _RowWrite(Operation):
    __slots__ = ("owner", "row")

    def __init__(self, owner: Any, row: Row, size: int) -> None:
        self.size = size
        self.error = None
        self.owner = owner
        self.row = row


class Insert(_RowWrite):
    """Store a new row; refused where there is no room."""

    __slots__ = ()
    is_vital = False


class Finish(_RowWrite):
    """Change a row that is there; may use the pages that are kept in reserve."""

    __slots__ = ()
    is_vital = True


class Task(Operation):
    """Anything else: ``work`` runs inside the batch's transaction, in a savepoint of its own.

    ``done`` is called on the loop after the commit, with ``result`` or ``error`` set.

    """

    __slots__ = ("done", "is_vital", "result", "work")

    def __init__(
        self,
        work: Callable[[Connection], Any],
        done: Callable[[Task], None],
        *,
        size: int = 0,
        is_vital: bool = False,
    ) -> None:
        self.size = size
        self.error = None
        self.work = work
        self.done = done
        self.is_vital = is_vital
        self.result: Any = None
