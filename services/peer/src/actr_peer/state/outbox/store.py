"""The outbox's file: recovered and read; runs where the writer runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from actr_peer.protocol.mailbox.outbox.call import CallState
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.outbox.call import DurableCall
from actr_peer.state.storage.batches import Upsert
from actr_peer.state.storage.database import Connection
from actr_peer.state.storage.operations import Row, blob
from actr_peer.state.storage.store import FileStore, Schema

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


@dataclass(slots=True)
class Found:
    """What a start found in the file."""

    next_number: int = 1
    calls: list[DurableCall] = field(default_factory=list)
    """Without a reply, and with one that is kept; in order of their numbers."""


class OutboxStore(FileStore[Found]):
    """Calls are rows of one table: without a reply, with one, let go of."""

    schema = Schema(
        what="outbox file",
        version=VERSION,
        tables=TABLES,
        upsert=UPSERT,
        meta="actr_outbox_meta",
        highest="ifnull((SELECT seq FROM sqlite_sequence WHERE name='actr_outbox'), 0)",
    )

    def _recover(self, connection: Connection, identity: int) -> None:
        sweep(connection)

    def _read(self, connection: Connection) -> Found:
        execute = connection.execute
        found = Found()
        found.next_number = self.schema.highest_of(connection) + 1
        found.calls = [
            _call(row)
            for row in execute(
                "SELECT number, state, call_key, remote, request_id, kind, is_tell, route_key,"
                " CASE state WHEN 0 THEN body END FROM actr_outbox"
                " WHERE state IN (0, 1) AND call_key IS NOT NULL ORDER BY number"
            ).fetchall()
        ]
        return found


def open_row(call: DurableCall) -> Row:
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


def _call(row: Row) -> DurableCall:
    number, state, call_key, remote, request_id, kind, is_tell, route_key, envelope = row
    return DurableCall(
        call_key=call_key,
        remote=remote,
        request_id=request_id,
        payload_type=PayloadType(kind),
        is_tell=bool(is_tell),
        route_key=route_key,
        number=number,
        envelope=envelope or b"",
        state=CallState.KEPT if state else CallState.OPEN,
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
