"""The mailbox's file: opened, recovered, written; runs where the writer runs."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from actr_peer.errors import ConfigError
from actr_peer.protocol.mailbox.finished import Finished
from actr_peer.protocol.mailbox.requests import MAX_CRASHES, Request, blame, give_up
from actr_peer.state.mailbox.tables import (
    HIGHEST,
    REQUEST_COLUMNS,
    TABLES,
    UPSERT,
    VERSION,
    is_strange,
    is_tell,
    request_of,
    to_unsigned,
)
from actr_peer.state.storage.batches import Batches
from actr_peer.state.storage.database import Connect, Connection, Durability
from actr_peer.state.storage.journal import RunJournal
from actr_peer.state.storage.operations import Operation
from actr_peer.state.storage.pages import Opening
from actr_peer.state.storage.watch import Watch
from actr_peer.state.storage.witness import AfterLoss, Witness, identity_of


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
    last_sequence: int = 0
    quiet: float = 0.0
    """Seconds since the file was last written, by the wall clock."""


class MailboxStore:
    """Owns the connection; see :mod:`actr_peer.state.mailbox.tables` for the tables.

    Args:
        max_attempts: Interrupted starts after which a request must not run again.
        after_loss: Whether to open a file that has lost what was promised.
    """

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
        self._after_loss: AfterLoss = after_loss
        self._path = ":memory:" if durability == "memory" else path
        self._opening = Opening(
            path=self._path,
            durability=durability,
            max_bytes=max_bytes,
            connect=connect,
            prepare=self._prepare,
        )
        self._max_attempts = max_attempts
        self.journal: RunJournal | None = None
        """Open from :meth:`open` to :meth:`close_notes`; written on the loop. None: in memory."""
        self.witness: Witness | None = None
        """The same."""
        self._connection: Connection
        self._batches: Batches
        self._watch: Watch | None = None
        self._closing = ExitStack()
        self._notes = ExitStack()

    def open(self) -> Found:
        """Open the file, make the tables, count interrupted starts, read what is there.

        Raises:
            ConfigError: If the file is no mailbox, or one of another version, or has lost what
                was promised.
        """
        with ExitStack() as notes, ExitStack() as stack:
            if self._opening.durability != "memory":
                self.journal = RunJournal(self._path + "-run")
                notes.callback(self.journal.close)
                self.witness = Witness(
                    self._path,
                    what="mailbox file",
                    durability=self._opening.durability,
                    after_loss=self._after_loss,
                )
                notes.callback(self.witness.close)
            quiet = _quiet(self._path)
            self._connection, pages, self._watch = self._opening.open(stack)
            found = self._read()
            found.quiet = quiet
            self._batches = Batches(self._connection, UPSERT, pages, self._watch)
            self._closing = stack.pop_all()
            self._notes = notes.pop_all()
        return found

    def _prepare(self, connection: Connection) -> None:
        """Make the tables, and raise the counts of what ran when the process ended, once."""
        is_new = connection.execute("PRAGMA user_version").fetchone()[0] == 0
        if is_new and self.witness is not None:
            self.witness.examine(identity=0, high=0)
        make_tables(connection, self._path)
        journal, execute = self.journal, connection.execute
        if journal is None or self.witness is None:
            return
        identity, high = identity_of(connection, "actr_meta"), highest(connection)
        if not is_new:
            self.witness.examine(identity=identity, high=high)
        self.witness.adopt(identity=identity, high=high)
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

    def _read(self) -> Found:
        execute = self._connection.execute
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
        found.finished = read_finished(self._connection)
        for sender, store_id, low in execute(
            "SELECT sender, store_id, low_water FROM actr_horizon"
        ).fetchall():
            found.horizons.append((sender, to_unsigned(store_id), low))
        found.dead = [
            (sequence, size, sender if is_strange(kind) else "")
            for sequence, size, kind, sender in execute(
                "SELECT sequence, ifnull(length(body), 0), kind, sender FROM actr_dead"
                " ORDER BY sequence"
            ).fetchall()
        ]
        found.last_sequence = highest(self._connection)
        return found

    def apply(self, batch: list[Operation]) -> None:
        self._batches.apply(batch)

    def apply_now(self, batch: list[Operation]) -> bool:
        return self._batches.apply_now(batch)

    def close(self) -> None:
        self._closing.close()

    @property
    def trouble(self) -> Exception | None:
        """Why nothing new is taken now; None: all is well."""
        return self._watch.trouble if self._watch is not None else None

    @property
    def loss(self) -> str:
        """What the start found missing, and went on without; "": nothing."""
        return self.witness.loss if self.witness is not None else ""

    def close_notes(self) -> None:
        """Close journal and mark: on the loop, when nobody writes to them any more."""
        self._notes.close()


def _quiet(path: str) -> float:
    written = [os.stat(name).st_mtime for name in (path, path + "-wal") if os.path.exists(name)]
    return max(0.0, time.time() - max(written)) if written else 0.0


def make_tables(connection: Connection, path: str) -> None:
    """Make the tables of a new file.

    Raises:
        ConfigError: If the file has the tables of another version.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    if version != 0:
        raise ConfigError(
            f"mailbox file {path} has version {version}, this program reads {VERSION}"
        )
    connection.execute("BEGIN IMMEDIATE")
    for table in TABLES:
        connection.execute(table)
    connection.execute(f"PRAGMA user_version={VERSION}")
    connection.execute("COMMIT")


def highest(connection: Connection) -> int:
    """The highest sequence number ever stored, though its row may be gone."""
    number: int = connection.execute(f"SELECT {HIGHEST}").fetchone()[0]
    return number


def read_finished(connection: Connection) -> list[Finished]:
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
