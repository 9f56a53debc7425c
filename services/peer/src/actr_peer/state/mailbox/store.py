"""The mailbox's file: recovered and read; runs where the writer runs."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from actr_peer.protocol.mailbox.finished import Finished
from actr_peer.protocol.mailbox.requests import MAX_CRASHES, Request, blame, give_up
from actr_peer.state.mailbox.tables import (
    REQUEST_COLUMNS,
    SCHEMA,
    is_strange,
    is_tell,
    request_of,
    to_unsigned,
)
from actr_peer.state.storage.database import Connect, Connection, Durability
from actr_peer.state.storage.journal import RunJournal
from actr_peer.state.storage.store import FileStore
from actr_peer.state.storage.witness import AfterLoss


@dataclass(slots=True)
class Found:
    """What a start found in the file."""

    queued: list[Request] = field(default_factory=list)
    """In order of arrival."""
    poisoned: list[tuple[Request, str]] = field(default_factory=list)
    """Must not run again, and why; still queued in the table."""
    finished: list[Finished] = field(default_factory=list)
    """In order of arrival."""
    horizons: list[tuple[str, int, int]] = field(default_factory=list)
    """Sender, store id, low-water mark."""
    dead: list[tuple[int, int, str]] = field(default_factory=list)
    """Sequence number and bytes of each dead letter, and the sender of one that was never
    accepted; oldest first."""
    certificates: list[tuple[str, str]] = field(default_factory=list)
    """Sender, and the newest that it has shown."""
    last_sequence: int = 0
    quiet: float = 0.0
    """Seconds since the file was last written, by the wall clock."""


class MailboxStore(FileStore[Found]):
    """See :mod:`actr_peer.state.mailbox.tables` for the tables.

    Args:
        max_attempts: Interrupted starts after which a request must not run again.
    """

    schema = SCHEMA

    def __init__(
        self,
        path: str,
        *,
        durability: Durability,
        max_bytes: int,
        max_attempts: int,
        after_loss: AfterLoss,
        connect: Connect,
    ) -> None:
        super().__init__(
            path,
            durability=durability,
            max_bytes=max_bytes,
            after_loss=after_loss,
            connect=connect,
        )
        self._max_attempts = max_attempts
        self.journal: RunJournal | None = None
        """As :attr:`witness`."""

    def open(self) -> Found:
        """Open the file; see :meth:`FileStore.open`."""
        quiet = _quiet(self._path)
        found = super().open()
        found.quiet = quiet
        return found

    def _open_notes(self, notes: ExitStack) -> None:
        self.journal = RunJournal(self._path + "-run")
        notes.callback(self.journal.close)
        super()._open_notes(notes)

    def _recover(self, connection: Connection, identity: int) -> None:
        """Raise the counts of what ran when the process ended, once."""
        journal, execute = self.journal, connection.execute
        assert journal is not None
        journal.belong(identity)
        counted = execute("SELECT value FROM actr_meta WHERE name='generation'").fetchone()
        if counted is None or counted[0] != journal.generation:
            execute("BEGIN IMMEDIATE")
            for sequence, is_crash in blame(journal.interrupted()).items():
                execute(
                    "UPDATE actr_inbox SET attempts=attempts+1, crashes=crashes+?"
                    " WHERE sequence=? AND state=0",
                    (int(is_crash), sequence),
                )
            execute(
                "INSERT OR REPLACE INTO actr_meta VALUES('generation', ?)", (journal.generation,)
            )
            execute("COMMIT")
        journal.restart()

    def _read(self, connection: Connection) -> Found:
        execute = connection.execute
        found = Found()
        for row in execute(
            f"SELECT {REQUEST_COLUMNS} FROM actr_inbox WHERE state=0 ORDER BY sequence"  # noqa: S608
        ).fetchall():
            request = request_of(row)
            why = give_up(request, max_attempts=self._max_attempts, max_crashes=MAX_CRASHES)
            if why is None:
                found.queued.append(request)
            else:
                found.poisoned.append((request, why))
        found.finished = _read_finished(connection)
        for sender, store_id, low in execute(
            "SELECT sender, store_id, low_water FROM actr_horizon"
        ).fetchall():
            found.horizons.append((sender, to_unsigned(store_id), low))
        found.dead = [
            (sequence, size, sender if is_strange(kind) else "")
            for sequence, size, kind, sender in execute(
                "SELECT sequence, ifnull(length(body), 0) + ifnull(length(last_error), 0), kind,"
                " sender FROM actr_dead"
                " ORDER BY sequence"
            ).fetchall()
        ]
        found.certificates = execute("SELECT sender, certificate FROM actr_certificate").fetchall()
        found.last_sequence = SCHEMA.highest_of(connection)
        return found


def _quiet(path: str) -> float:
    written = [os.stat(name).st_mtime for name in (path, path + "-wal") if os.path.exists(name)]
    return max(0.0, time.time() - max(written)) if written else 0.0


def _read_finished(connection: Connection) -> list[Finished]:
    """What is remembered, in order of arrival, without the replies."""
    rows = connection.execute(
        "SELECT sequence, sender, request_id, kind, store_id, call_number,"
        " ifnull(length(body), 0) FROM actr_inbox"
        " WHERE state=2 AND sender IS NOT NULL ORDER BY sequence"
    ).fetchall()
    return [
        Finished(
            sender,
            request_id,
            sequence,
            size=0 if is_tell(kind) else size,
            caller=(sender, to_unsigned(store_id)) if number else None,
            number=number,
        )
        for sequence, sender, request_id, kind, store_id, number, size in rows
    ]
