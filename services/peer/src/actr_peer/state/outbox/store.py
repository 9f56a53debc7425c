"""The outbox's file: opened, recovered, written; runs where the writer runs."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from actr_peer.errors import ConfigError
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.outbox.call import OpenCall
from actr_peer.state.storage.batches import Batches, Upsert
from actr_peer.state.storage.database import Connect, Connection, Durability
from actr_peer.state.storage.operations import Operation, Row, blob
from actr_peer.state.storage.pages import Opening
from actr_peer.state.storage.watch import Watch
from actr_peer.state.storage.witness import AfterLoss, Witness, identity_of

VERSION = 1
# AUTOINCREMENT: a number is never used twice, though its row may be gone.
TABLES = (
    """CREATE TABLE actr_outbox(
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        state INTEGER NOT NULL,
        call_key TEXT, remote TEXT, request_id TEXT, kind INTEGER, is_tell INTEGER,
        route_key TEXT,
        body BLOB)""",
    "CREATE TABLE actr_outbox_meta(name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID",
)
UPSERT = Upsert(
    "actr_outbox",
    (
        "number",
        "state",
        "call_key",
        "remote",
        "request_id",
        "kind",
        "is_tell",
        "route_key",
        "body",
    ),
    changes=("state", "body"),
)


class Kept:
    """A reply that nobody has taken.

    Attributes:
        reply: Until it is saved; after that it is read back from the table.
        is_unwanted: Nobody can ask for it: its caller wanted no reply, or left no key.
    """

    __slots__ = ("call_key", "is_unwanted", "number", "reply")

    def __init__(self, number: int, call_key: str, *, is_unwanted: bool = False) -> None:
        self.number = number
        self.call_key = call_key
        self.is_unwanted = is_unwanted
        self.reply: bytes | None = None


@dataclass(slots=True)
class Found:
    """What a start found in the file."""

    next_number: int = 1
    open: list[Any] = field(default_factory=list)
    """Rows of calls without a reply, in order."""
    kept: list[Kept] = field(default_factory=list)


class OutboxStore:
    """Owns the connection.

    Args:
        after_loss: Whether to open a file that has lost what was promised.
    """

    def __init__(
        self,
        path: str,
        *,
        durability: Durability,
        max_bytes: int,
        after_loss: AfterLoss,
        connect: Connect,
    ) -> None:
        self._path = ":memory:" if durability == "memory" else path
        self._opening = Opening(
            path=self._path,
            durability=durability,
            max_bytes=max_bytes,
            connect=connect,
            prepare=self._make_tables,
        )
        self._after_loss: AfterLoss = after_loss
        self.witness: Witness | None = None
        """Open from :meth:`open` to :meth:`close_notes`; written on the loop. None: in memory."""
        self._connection: Connection
        self._batches: Batches
        self._watch: Watch | None = None
        self._closing = ExitStack()
        self._notes = ExitStack()

    def open(self) -> Found:
        """Open the file, make the tables, read what is there.

        Raises:
            ConfigError: If the file is no outbox, or one of another version, or has lost what was
                promised.
        """
        with ExitStack() as notes, ExitStack() as stack:
            if self._opening.durability != "memory":
                self.witness = Witness(
                    self._path,
                    what="outbox file",
                    durability=self._opening.durability,
                    after_loss=self._after_loss,
                )
                notes.callback(self.witness.close)
            self._connection, pages, self._watch = self._opening.open(stack)
            found = self._read()
            self._batches = Batches(self._connection, UPSERT, pages, self._watch)
            self._closing = stack.pop_all()
            self._notes = notes.pop_all()
        return found

    def _make_tables(self, connection: Connection) -> None:
        execute = connection.execute
        version = execute("PRAGMA user_version").fetchone()[0]
        if self.witness is not None and version == 0:
            self.witness.examine(identity=0, high=0)
        if version == VERSION:
            sweep(connection)
            self._examine(connection, is_new=False)
            return
        if version != 0:
            raise ConfigError(
                f"outbox file {self._path} has version {version}, this program reads {VERSION}"
            )
        execute("BEGIN IMMEDIATE")
        for table in TABLES:
            execute(table)
        execute(f"PRAGMA user_version={VERSION}")
        execute("COMMIT")
        self._examine(connection, is_new=True)

    def _examine(self, connection: Connection, *, is_new: bool) -> None:
        """Compare the file with its mark, which is this file's from now on."""
        if self.witness is None:
            return
        identity, high = identity_of(connection, "actr_outbox_meta"), _highest(connection)
        if not is_new:
            self.witness.examine(identity=identity, high=high)
        self.witness.adopt(identity=identity, high=high)

    def _read(self) -> Found:
        execute = self._connection.execute
        found = Found()
        found.next_number = _highest(self._connection) + 1
        found.open = execute(
            "SELECT number, call_key, remote, request_id, kind, is_tell, route_key, body"
            " FROM actr_outbox WHERE state=0 ORDER BY number"
        ).fetchall()
        found.kept = [
            Kept(number, call_key, is_unwanted=bool(is_tell) or call_key == request_id)
            for number, call_key, request_id, is_tell in execute(
                "SELECT number, call_key, request_id, is_tell FROM actr_outbox"
                " WHERE state=1 AND call_key IS NOT NULL ORDER BY number"
            ).fetchall()
        ]
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
        """Close the mark: on the loop, when nobody writes to it any more."""
        self._notes.close()


def _highest(connection: Connection) -> int:
    """The highest number ever given, though its row may be gone."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name='actr_outbox'").fetchone()
    return row[0] if row else 0


def open_row(call: OpenCall) -> Row:
    """A new call, in the order of :data:`UPSERT`."""
    return (
        call.number,
        0,
        call.call_key,
        call.remote,
        call.request_id,
        int(call.payload_type),
        int(call.is_tell),
        call.route_key,
        blob(call.envelope),
    )


def open_call(row: Row) -> OpenCall:
    """A call without a reply, as :meth:`OutboxStore.open` finds it."""
    number, call_key, remote, request_id, kind, is_tell, route_key, envelope = row
    return OpenCall(
        call_key=call_key,
        remote=remote,
        request_id=request_id,
        payload_type=PayloadType(kind),
        is_tell=bool(is_tell),
        route_key=route_key,
        number=number,
        envelope=envelope,
        is_saved=True,
    )


def gone_row(number: int) -> Row:
    """The change that lets go of a call: its row is deleted with others, by :func:`sweep`."""
    return (number, 2, "", "", "", 0, 0, "", 0)


def sweep(connection: Connection) -> None:
    """Delete the rows of all calls that have been let go of."""
    connection.execute("DELETE FROM actr_outbox WHERE state=2")


def done_row(number: int, reply: bytes) -> Row:
    """The change that keeps a reply; the other columns stay as they are."""
    return (number, 1, "", "", "", 0, 0, "", blob(reply))


def kept_reply(connection: Connection, number: int) -> bytes:
    """The reply that is kept of a call; empty if it has gone meanwhile."""
    row = connection.execute("SELECT body FROM actr_outbox WHERE number=?", (number,)).fetchone()
    reply: bytes = (row[0] if row else None) or b""
    return reply
