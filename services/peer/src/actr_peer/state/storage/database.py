"""How a state file is opened: one SQLite database in WAL mode, bounded.

``power`` syncs every commit (``synchronous=FULL``); ``process`` leaves that to the kernel
(``NORMAL``): it survives ``kill -9``, not a power cut; ``memory`` keeps no file at all.
Decision 0008 has the figures.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Protocol

from actr_peer.errors import ConfigError

Durability = Literal["power", "process", "memory"]

PAGE_BYTES = 4096
WAL_BYTES = 2 * 1024 * 1024
"""The write-ahead log is made this long at once: writing over it syncs in half the time of
growing it, and a full disk cannot stop a completion from being logged."""
CHECKPOINT_PAGES = 256
"""Pages in the log that cause a checkpoint: 1 MiB, well inside the log's length."""
SMALL_CHECKPOINT_PAGES = 64
"""The same where the whole database is small."""
SMALL_DATABASE_BYTES = 32 * 1024 * 1024
MIN_PAGES = 128
"""Of a database, whatever its bound says: half a MiB."""
BUSY_MS = 10_000
"""Milliseconds a commit waits for another program that writes to the file: a person with a
shell, not a peer. Then what is new is refused until that program ends."""
BUSY_AGAIN_MS = 500
"""The same, once a commit has waited in vain."""
STATEMENTS = 64
"""Prepared statements that are kept."""


class Cursor(Protocol):
    """What a statement gives back."""

    def fetchone(self) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def fetchall(self) -> list[Any]: ...


class Connection(Protocol):
    """The part of :class:`sqlite3.Connection` that is used, so that tests can bring their own.

    Its errors are :class:`sqlite3.Error` with ``sqlite_errorcode``.
    """

    @property
    def in_transaction(self) -> bool: ...

    def execute(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = (), /) -> Cursor: ...

    def set_progress_handler(
        self, progress_handler: Callable[[], bool] | None, /, n: int
    ) -> None: ...

    def close(self) -> None: ...


_OF_A_VALUE = (
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    sqlite3.NotSupportedError,
)
"""What Python's module itself raises, which has no code."""
_OF_A_STATEMENT = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_MISUSE,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
    }
)
"""Codes of what one statement did wrong."""
Connect = Callable[[str], Connection]
StorageError = sqlite3.Error
"""What the database reports, for those who do not import it."""


def connect(path: str) -> Connection:
    """Open ``path`` with transactions in our own hands; a new file is for its user alone."""
    if path != ":memory:":
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as exc:
            raise ConfigError(f"state file {path}: {exc.strerror}") from exc
    return sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=STATEMENTS
    )


def is_full(error: Exception) -> bool:
    """Whether the disk, or the database's own bound, has no room, or the disk fails to write.

    The primary code is the low byte of an extended one (sqlite.org/rescode.html).
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def is_locked(error: Exception) -> bool:
    """Whether another program holds the file, and went on holding it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_interrupted(error: Exception) -> bool:
    """Whether a progress handler has ended the statement."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_INTERRUPT


def is_ruined(error: Exception) -> bool:
    """Whether the file itself can no longer be written, whatever is to be written."""
    if not isinstance(error, sqlite3.Error) or isinstance(error, _OF_A_VALUE):
        return False
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    return code not in _OF_A_STATEMENT


def no_room() -> sqlite3.Error:
    """The error of a disk that is full, for what is not even tried."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


def configure(connection: Connection, path: str, durability: Durability, max_bytes: int) -> int:
    """Set the pragmas but that of the promise, which is for :func:`promise`; returns the bound of
    the database, in pages.

    The bound is ``max_bytes``, or half of what the volume has, where that is less: the log
    and the checkpoints need room too.

    Raises:
        sqlite3.Error: If the file is not a database, or cannot be written.
    """
    set_busy_timeout(connection, BUSY_MS)
    # Debian's SQLite writes zeros over what is deleted, and logs every page of it.
    connection.execute("PRAGMA secure_delete=OFF").fetchall()
    if durability != "memory":
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        # While the file is opened checkpoints are synced, commits are not: none is promised.
        connection.execute("PRAGMA synchronous=NORMAL")
        max_bytes = min(max_bytes, _half_of_volume(path))
        limit = log_bytes(max_bytes // PAGE_BYTES)
        connection.execute(f"PRAGMA journal_size_limit={limit}").fetchall()
        is_small = max_bytes < SMALL_DATABASE_BYTES
        pages = SMALL_CHECKPOINT_PAGES if is_small else CHECKPOINT_PAGES
        connection.execute(f"PRAGMA wal_autocheckpoint={pages}").fetchall()
    return max(MIN_PAGES, max_bytes // PAGE_BYTES)


def set_busy_timeout(connection: Connection, ms: int) -> None:
    """How long a statement waits for another program that writes to the file."""
    connection.execute(f"PRAGMA busy_timeout={ms}").fetchall()


def promise(connection: Connection, durability: Durability) -> None:
    """From now on a commit is what ``durability`` says."""
    if durability == "power":
        connection.execute("PRAGMA synchronous=FULL")


def log_bytes(bound: int) -> int:
    """How long the log of a database of ``bound`` pages is made."""
    return min(WAL_BYTES, bound * PAGE_BYTES // 4)


def set_bound(connection: Connection, pages: int) -> None:
    """Let the database grow to ``pages``; below its present size, it just does not grow."""
    connection.execute(f"PRAGMA max_page_count={pages}").fetchall()


def _half_of_volume(path: str) -> int:
    volume = os.statvfs(os.path.dirname(path) or ".")
    own = sum(file_size(path + suffix) for suffix in ("", "-wal"))
    return (volume.f_bavail * volume.f_frsize + own) // 2


def real_path(path: str) -> str:
    """Where a state file is, whatever link leads to it, and wherever the process goes.

    Its lock, log and notes lie beside it; a second name for it would have others.

    Raises:
        ConfigError: If it is no path.
    """
    if path in ("", ":memory:"):
        return path
    try:
        return os.path.realpath(path)
    except ValueError as exc:
        raise ConfigError(f"state file {path!r}: {exc}") from exc


def file_size(path: str) -> int:
    """Bytes; 0 for a file that is not there."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
