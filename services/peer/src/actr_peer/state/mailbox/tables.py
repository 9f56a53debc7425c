"""The mailbox's tables, and requests as rows of them.

One table is the queue, the memory of duplicates and the store of replies: ``body`` is the
envelope while a request is queued and the reply once it is done. Names start with ``actr_``;
all others in the file are the workload's own.
"""

from __future__ import annotations

from actr_peer.protocol.mailbox.requests import Request, State
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.storage.batches import Upsert
from actr_peer.state.storage.operations import Row, blob
from actr_peer.state.storage.store import Schema

VERSION = 3
"""``user_version`` of the file."""
_CERTIFICATES = """CREATE TABLE IF NOT EXISTS actr_certificate(
        sender TEXT PRIMARY KEY, certificate TEXT) WITHOUT ROWID"""
MIGRATIONS: dict[int, tuple[str, ...]] = {
    1: (
        "ALTER TABLE actr_inbox ADD COLUMN last_error TEXT",
        "ALTER TABLE actr_dead ADD COLUMN last_error TEXT",
    ),
    2: (_CERTIFICATES,),
}
"""What makes a file of an older version one of the next."""

TABLES = (
    """CREATE TABLE IF NOT EXISTS actr_inbox(
        sequence INTEGER PRIMARY KEY,
        state INTEGER NOT NULL,
        sender TEXT, request_id TEXT, kind INTEGER, route_key TEXT,
        body BLOB,
        store_id INTEGER, call_number INTEGER,
        attempts INTEGER NOT NULL DEFAULT 0,
        crashes INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        last_error TEXT)""",
    """CREATE TABLE IF NOT EXISTS actr_dead(
        sequence INTEGER PRIMARY KEY,
        sender TEXT, request_id TEXT, kind INTEGER, route_key TEXT,
        body BLOB,
        store_id INTEGER, call_number INTEGER,
        attempts INTEGER, crashes INTEGER, failures INTEGER,
        reason TEXT, died_at REAL,
        last_error TEXT)""",
    """CREATE TABLE IF NOT EXISTS actr_horizon(
        sender TEXT, store_id INTEGER, low_water INTEGER,
        PRIMARY KEY(sender, store_id)) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS actr_meta(name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID",
    _CERTIFICATES,
)

UPSERT = Upsert(
    "actr_inbox",
    (
        "sequence",
        "state",
        "sender",
        "request_id",
        "kind",
        "route_key",
        "body",
        "store_id",
        "call_number",
    ),
    changes=("state", "body"),
)
_HIGHEST = (
    "max(ifnull((SELECT max(sequence) FROM actr_inbox), 0),"
    " ifnull((SELECT max(sequence) FROM actr_dead), 0),"
    " ifnull((SELECT value FROM actr_meta WHERE name='highest'), 0))"
)
KEEP_HIGHEST = f"INSERT OR REPLACE INTO actr_meta SELECT 'highest', {_HIGHEST}"
"""Before rows are deleted, in the same transaction: a number is never used twice."""
SCHEMA = Schema(
    what="mailbox file",
    version=VERSION,
    tables=TABLES,
    migrations=MIGRATIONS,
    upsert=UPSERT,
    meta="actr_meta",
    highest=_HIGHEST,
)
REQUEST_COLUMNS = (
    "sequence, sender, request_id, kind, route_key, body, store_id, call_number,"
    " attempts, crashes, failures, ifnull(last_error, '')"
)
_DONE = int(State.DONE)
_TELL = 16
"""Bit of ``kind`` that says tell; below it is the payload type."""
_STRANGE = 32
"""Bit of ``kind`` of a dead letter that was never accepted."""
_KINDS = [[int(kind) | bit for kind in PayloadType] for bit in (0, _TELL)]


def insert_row(request: Request) -> Row:
    """A new request, in the order of :data:`UPSERT`."""
    return (
        request.sequence,
        0,
        request.sender,
        request.request_id,
        kind_of(request),
        request.route_key,
        blob(request.envelope),
        to_signed(request.store_id) if request.store_id else 0,
        request.call_number,
    )


def done_row(sequence: int, reply: bytes | None) -> Row:
    """The change that completes a request; the other columns stay as they are."""
    return (sequence, _DONE, "", "", 0, "", None if reply is None else blob(reply), 0, 0)


def request_of(row: Row) -> Request:
    """A request from a row in the order of :data:`REQUEST_COLUMNS`."""
    kind = row[3]
    return Request(
        sender=row[1],
        request_id=row[2],
        payload_type=payload_type_of(kind),
        is_tell=is_tell(kind),
        route_key=row[4],
        envelope=row[5] or b"",
        sequence=row[0],
        store_id=to_unsigned(row[6]),
        call_number=row[7],
        attempts=row[8],
        crashes=row[9],
        failures=row[10],
        last_error=row[11],
    )


def kind_of(request: Request) -> int:
    """Payload type and tell in one number."""
    kind = _KINDS[request.is_tell][request.payload_type]
    return kind | _STRANGE if request.dead else kind


def is_strange(kind: int) -> bool:
    """Whether a dead letter was never accepted."""
    return bool(kind & _STRANGE)


def payload_type_of(kind: int) -> PayloadType:
    return PayloadType(kind & ~(_TELL | _STRANGE))


def is_tell(kind: int) -> bool:
    return bool(kind & _TELL)


def to_signed(number: int) -> int:
    """SQLite's integers are signed; a store id uses all 64 bits."""
    return number - (1 << 64) if number >> 63 else number


def to_unsigned(number: int) -> int:
    return number & 0xFFFF_FFFF_FFFF_FFFF
