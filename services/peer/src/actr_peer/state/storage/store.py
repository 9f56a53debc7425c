"""What owns a state file: opens it, recovers it, writes to it; runs where the writer runs."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from actr_peer.errors import ConfigError
from actr_peer.state.storage.batches import Batches, Upsert
from actr_peer.state.storage.database import Connect, Connection, Durability
from actr_peer.state.storage.operations import Operation
from actr_peer.state.storage.pages import Opening
from actr_peer.state.storage.watch import Watch
from actr_peer.state.storage.witness import AfterLoss, Witness, identity_of

log = logging.getLogger(__name__)

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What is in a file.

    Attributes:
        what: What the file is called in errors.
        version: ``user_version`` of a file with these tables.
        migrations: By an older version: the statements that make its file one of the next.
        upsert: Writes the rows of operations.
        meta: The table of (name, value) that holds the file's identity.
        highest: SQL of the highest number ever given, though its row may be gone.
    """

    what: str
    version: int
    tables: Sequence[str]
    upsert: Upsert
    meta: str
    highest: str
    migrations: Mapping[int, Sequence[str]] = field(default_factory=dict)

    def make_tables(self, connection: Connection, path: str) -> bool:
        """Make the tables of a new file; returns whether it is one.

        Raises:
            ConfigError: If the file has the tables of a version that this program cannot read.
        """
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == self.version or version in self.migrations:
            return False
        if version != 0:
            raise ConfigError(
                f"{self.what} {path} has version {version}, this program reads {self.version}"
            )
        connection.execute("BEGIN IMMEDIATE")
        for table in self.tables:
            connection.execute(table)
        connection.execute(f"PRAGMA user_version={self.version}")
        connection.execute("COMMIT")
        return True

    def migrate(self, connection: Connection) -> None:
        """Make the tables of an older version those of this one, in place, all or nothing."""
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == self.version:
            return
        connection.execute("BEGIN IMMEDIATE")
        for older in range(version, self.version):
            for statement in self.migrations[older]:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={self.version}")
        connection.execute("COMMIT")
        log.info("%s: version %d is now %d", self.what, version, self.version)

    def highest_of(self, connection: Connection) -> int:
        """The highest number ever given; 0: none was."""
        number: int = connection.execute(f"SELECT {self.highest}").fetchone()[0]
        return number


class FileStore(ABC, Generic[Found]):
    """Owns the connection, and the notes beside the file.

    A start is three steps, each within the one before: the file is compared with its mark, what
    ran when the last process ended is put right (:meth:`_recover`), what is there is read
    (:meth:`_read`).

    Args:
        after_loss: Whether to open a file that has lost what was promised.
    """

    schema: Schema

    def __init__(
        self,
        path: str,
        *,
        durability: Durability,
        max_bytes: int,
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
        self.witness: Witness | None = None
        """Open from :meth:`open` to :meth:`close_notes`; written on the loop. None: in memory."""
        self._batches: Batches
        self._watch: Watch | None = None
        self._closing = ExitStack()
        self._notes = ExitStack()

    def open(self) -> Found:
        """Open the file, make the tables, recover, read what is there.

        Raises:
            ConfigError: If the file is not what it should be, or one of another version, or has
                lost what was promised.
        """
        with ExitStack() as notes, ExitStack() as stack:
            if self._opening.durability != "memory":
                self._open_notes(notes)
            connection, pages, self._watch = self._opening.open(stack)
            found = self._read(connection)
            self._batches = Batches(connection, self.schema.upsert, pages, self._watch)
            self._closing = stack.pop_all()
            self._notes = notes.pop_all()
        return found

    def _open_notes(self, notes: ExitStack) -> None:
        """Open what lies beside the file; ``notes`` closes it."""
        self.witness = Witness(
            self._path,
            what=self.schema.what,
            durability=self._opening.durability,
            after_loss=self._after_loss,
        )
        notes.callback(self.witness.close)

    def _prepare(self, connection: Connection) -> None:
        schema, witness = self.schema, self.witness
        if witness is not None and not connection.execute("PRAGMA user_version").fetchone()[0]:
            witness.examine(identity=0, high=0)
        is_new = schema.make_tables(connection, self._path)
        if witness is not None:
            identity, high = identity_of(connection, schema.meta), schema.highest_of(connection)
            if not is_new:
                witness.examine(identity=identity, high=high)
                schema.migrate(connection)
            witness.adopt(identity=identity, high=high)
            self._recover(connection, identity)

    @abstractmethod
    def _recover(self, connection: Connection, identity: int) -> None:
        """Put right what the last process left; once, whatever interrupts it. Not in memory.

        Args:
            identity: Of the file, by which the notes of another one are known.
        """

    @abstractmethod
    def _read(self, connection: Connection) -> Found:
        """What is there."""

    def apply(self, batch: list[Operation]) -> None:
        """Commit ``batch``; see :class:`~actr_peer.state.storage.writer.Store`."""
        self._batches.apply(batch)

    def apply_now(self, batch: list[Operation]) -> bool:
        """Commit ``batch`` if nothing has to be waited for."""
        return self._batches.apply_now(batch)

    def close(self) -> None:
        """Close the file; its notes stay open for the loop."""
        self._closing.close()

    def close_notes(self) -> None:
        """Close what lies beside the file: on the loop, when nobody writes to it any more."""
        self._notes.close()

    @property
    def trouble(self) -> Exception | None:
        """Why nothing new is taken now; None: all is well."""
        return self._watch.trouble if self._watch is not None else None

    @property
    def loss(self) -> str:
        """What the start found missing, and went on without; "": nothing."""
        return self.witness.loss if self.witness is not None else ""
