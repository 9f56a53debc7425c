"""Looks now and then whether a state file is still the one opened, and how long its log is.

SQLite goes on writing to a file that was deleted or replaced under it, and nobody would ever read
that again. And beside a reader that keeps its snapshot (a shell, a backup) the log cannot be used
again from its start: it grows with every commit. In both cases nothing new is taken, so that no
more is promised than can be kept; what was accepted finishes.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time

from actr_peer.state.storage.database import Connection, file_size, log_bytes

log = logging.getLogger(__name__)

INTERVAL = 0.1
"""Seconds between two looks, of 5 µs each."""
LONG_LOG = 8
"""Times the length that the log is made with: longer than that is said, and cut if it can be."""
LOG_SHARE = 4
"""One part in so many of the database's bound may be log, before what is new is refused."""


class TroubleError(sqlite3.Error):
    """Nothing new is taken; the text says why."""


class Watch:
    """Of one file; used where the writer runs.

    Args:
        path: On a real disk; one that does not exist is not watched.
        bound: Pages the database may ever have.
    """

    def __init__(self, connection: Connection, path: str, bound: int, page_bytes: int) -> None:
        self._connection = connection
        self._paths = (path, path + "-wal")
        self._opened = self._present()
        self._long = LONG_LOG * log_bytes(bound)
        self._longest = max(2 * self._long, bound * page_bytes // LOG_SHARE)
        self._next = 0.0
        self._is_long = False
        self.trouble: TroubleError | None = None
        """Why nothing new is taken now; None: all is well."""

    def _present(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_identity(path) for path in self._paths)

    @property
    def is_due(self) -> bool:
        """Whether it is time for a look."""
        return time.monotonic() >= self._next

    def is_well(self) -> bool:
        """Look without touching the database; False: :meth:`look` has something to do."""
        self._next = time.monotonic() + INTERVAL
        return self._present() == self._opened and file_size(self._paths[1]) <= self._long

    def look(self) -> None:
        """See what is wrong, say it once, and cut a log that has become long."""
        self._next = time.monotonic() + INTERVAL
        text = self._missing() or self._too_long()
        if text and self.trouble is None:
            log.error("state file takes nothing new: %s: %s", self._paths[0], text)
        elif not text and self.trouble is not None:
            log.warning("state file takes what is new again: %s", self._paths[0])
        self.trouble = TroubleError(text) if text else None

    def _missing(self) -> str:
        if self._present() == self._opened:
            return ""
        return (
            "the file or its log was deleted or replaced while the actor runs, which goes on in "
            "the old one: put that back, or restart"
        )

    def _too_long(self) -> str:
        path = self._paths[1]
        size = file_size(path)
        if size > self._long:
            self._cut()
            size = file_size(path)
        was_long, self._is_long = self._is_long, size > self._long
        if self._is_long and not was_long:
            log.warning("a reader keeps the log from being used again: %s: %d bytes", path, size)
        if size <= self._longest:
            return ""
        return f"a reader has kept its snapshot while the log grew to {size} bytes: end it"

    def _cut(self) -> None:
        """Write the log into the database and begin it anew, if no reader needs it."""
        timeout = self._connection.execute("PRAGMA busy_timeout").fetchone()[0]
        self._connection.execute("PRAGMA busy_timeout=0").fetchall()
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as exc:
            log.debug("the log stays: %s", exc)
        finally:
            self._connection.execute(f"PRAGMA busy_timeout={timeout}").fetchall()


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
