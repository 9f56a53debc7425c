"""Shell: the file itself: WAL, one writer in this process, a schema with a version.

Verbs of the command line open the same file beside a running issuer: SQLite's lock orders them,
and what one has written the other sees with its next statement.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiosqlite
import structlog

from actr_signaling.errors import ConfigError
from actr_signaling.issuer.protocol.causes import Cause, RefusalError

log = structlog.get_logger()

LOCK_SECONDS = 5.0
"""For a verb of the command line that writes at this instant."""
MAX_WAITING = 1024
"""Transactions that wait for their turn; more are refused, for they would be late."""
RETRY_SECONDS = 2.0

_VERSIONS = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    INSERT INTO meta VALUES ('beat', 0), ('revocations', 0), ('audit_floor', 0);
    CREATE TABLE tokens (
        id TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, pattern TEXT NOT NULL,
        realm TEXT NOT NULL, claims TEXT NOT NULL, life INTEGER NOT NULL,
        created_at REAL NOT NULL, expires_at REAL NOT NULL, used_at REAL, used_by BLOB,
        revoked_at REAL, note TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE actors (
        key BLOB PRIMARY KEY, subject TEXT NOT NULL, realm TEXT NOT NULL, claims TEXT NOT NULL,
        life INTEGER NOT NULL, way TEXT NOT NULL, state TEXT NOT NULL, enrolled_at REAL NOT NULL,
        renewed_at REAL NOT NULL, serial TEXT NOT NULL, expires_at REAL NOT NULL, revoked_at REAL
    ) WITHOUT ROWID;
    CREATE INDEX actors_by_subject ON actors (subject, realm);
    CREATE INDEX actors_by_end ON actors (expires_at);
    CREATE TABLE revoked (
        key BLOB PRIMARY KEY, at REAL NOT NULL, until REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE blocks (
        pattern TEXT NOT NULL, realm TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (pattern, realm)
    ) WITHOUT ROWID;
    CREATE TABLE issuer_keys (
        kid TEXT PRIMARY KEY, public BLOB NOT NULL, created_at REAL NOT NULL,
        use_from REAL NOT NULL, retired_at REAL, withdrawn_at REAL, signed_until REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, event TEXT NOT NULL,
        subject TEXT NOT NULL, realm TEXT NOT NULL, key TEXT NOT NULL, address TEXT NOT NULL,
        detail TEXT NOT NULL
    );
    CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    CREATE TRIGGER audit_ends BEFORE DELETE ON audit
        WHEN OLD.id > (SELECT value FROM meta WHERE name = 'audit_floor')
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    """,
    """
    ALTER TABLE tokens ADD COLUMN patterns INTEGER NOT NULL DEFAULT 0;
    INSERT INTO meta VALUES ('refused_floor', 0);
    CREATE INDEX audit_refused ON audit (id) WHERE event = 'refused';
    DROP TRIGGER audit_ends;
    CREATE TRIGGER audit_ends BEFORE DELETE ON audit
        WHEN OLD.id > (SELECT value FROM meta WHERE name = 'audit_floor') AND NOT (
            OLD.event = 'refused'
            AND OLD.id <= (SELECT value FROM meta WHERE name = 'refused_floor'))
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
    """,
)
"""What makes each version of the one before; the first makes it of nothing."""


class Database:
    """The open file; an async context manager.

    Args:
        path: Made with mode 0600 where it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = AsyncExitStack()
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def __aenter__(self) -> Self:
        """Open it, and bring it to this version.

        Raises:
            ConfigError: If it cannot be used, or is of a newer version.
        """
        try:
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            async with AsyncExitStack() as stack:
                self._writer = await self._connect(stack)
                await self._migrate()
                self._reader = await self._connect(stack)
                await self._reader.execute("PRAGMA query_only = ON")
                self._stack = stack.pop_all()
        except (OSError, aiosqlite.Error) as exc:
            why = exc.strerror if isinstance(exc, OSError) else str(exc)
            raise ConfigError(f"{self._path}: {why}; the issuer keeps its register there") from exc
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """All that is written within is written, and on disk, when the block ends; else nothing.

        Cancelling it undoes it, unless it was on the way to the disk already.

        Raises:
            RefusalError: If the file cannot be written, or too many wait for it.
        """
        if self._waiting >= MAX_WAITING:
            raise RefusalError(
                Cause.FULL, "too many requests wait: try again", retry_after=RETRY_SECONDS
            )
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            try:
                await self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                await self._writer.commit()
            except BaseException:
                await self._writer.rollback()  # harmless where nothing was begun
                raise
        except aiosqlite.Error as exc:
            raise _unready(exc) from exc
        finally:
            self._turn.release()

    async def read(self, sql: str, values: Iterable[Any] = ()) -> list[aiosqlite.Row]:
        """Rows as they are committed now; waits for nobody who writes.

        Raises:
            RefusalError: If the file cannot be read.
        """
        try:
            return list(await self._reader.execute_fetchall(sql, tuple(values)))
        except aiosqlite.Error as exc:
            raise _unready(exc) from exc

    async def _connect(self, stack: AsyncExitStack) -> aiosqlite.Connection:
        connection = await stack.enter_async_context(
            aiosqlite.connect(self._path, isolation_level=None, timeout=LOCK_SECONDS)
        )
        connection.row_factory = aiosqlite.Row
        await connection.execute("PRAGMA journal_mode = WAL")
        # A token that was answered for must not be good again after a power cut.
        await connection.execute("PRAGMA synchronous = FULL")
        return connection

    async def _migrate(self) -> None:
        await self._writer.execute("BEGIN IMMEDIATE")
        [row] = await self._writer.execute_fetchall("PRAGMA user_version")
        version = row[0]
        if version > len(_VERSIONS):
            await self._writer.rollback()
            raise ConfigError(
                f"{self._path}: its version is {version}, and this issuer knows up to "
                f"{len(_VERSIONS)}; start a newer one"
            )
        for script in _VERSIONS[version:]:
            for statement in _statements(script):
                await self._writer.execute(statement)
        await self._writer.execute(f"PRAGMA user_version = {len(_VERSIONS)}")
        await self._writer.commit()


def _statements(script: str) -> list[str]:
    """Apart, for a script as one would end the transaction that it is in."""
    found, draft = [], ""
    for line in script.strip().splitlines():
        draft += line + "\n"
        if draft.rstrip().endswith(";") and ("CREATE TRIGGER" not in draft or "END;" in draft):
            found.append(draft)
            draft = ""
    return found


def _unready(exc: aiosqlite.Error) -> RefusalError:
    log.error("register cannot be used", cause=str(exc))
    return RefusalError(
        Cause.UNREADY, "the issuer's register cannot be used now: try again", retry_after=5.0
    )
