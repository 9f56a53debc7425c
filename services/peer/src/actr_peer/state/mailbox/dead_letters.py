"""Dead letters: requests that were given up, kept for somebody to look at (docs/mailbox.md).

They take at most 5 % of the database; the oldest are dropped for new ones, and counted
(:mod:`actr_peer.protocol.mailbox.shelf`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from actr_peer.protocol.mailbox.requests import ROW_BYTES, Request, State
from actr_peer.protocol.mailbox.shelf import Shelf
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.mailbox.tables import (
    KEEP_HIGHEST,
    REQUEST_COLUMNS,
    UPSERT,
    insert_row,
    is_tell,
    kind_of,
    payload_type_of,
    request_of,
    to_signed,
)
from actr_peer.state.storage.database import Connection
from actr_peer.state.storage.operations import Row, Task
from actr_peer.state.storage.pages import VITAL
from actr_peer.state.storage.state_file import StateFile

MAX_LISTED = 1000
"""Letters that one listing gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One dead letter; or another stored request, for those who look into the file."""

    sequence: int
    """What names it; the order of its arrival."""
    sender: str
    request_id: str
    """Empty for an envelope that could not be decoded; it cannot be replayed."""
    payload_type: PayloadType
    is_tell: bool
    route_key: str
    size: int
    """Bytes of the envelope."""
    reason: str
    attempts: int
    crashes: int
    failures: int
    last_error: str
    """What its handler failed with the last time, in a line; empty: it did not."""
    died_at: float
    """Seconds since 1970 by the wall clock; for people to read."""
    envelope: bytes | None = None
    """Only where one letter is shown."""
    state: State = State.DEAD


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which letters; all of what is given must fit."""

    sequences: tuple[int, ...] = ()
    """Any of these; empty: any at all."""
    sender: str = ""
    """Part of the sender."""
    route: str = ""
    """Part of the route key."""
    reason: str = ""
    """Part of the reason."""
    request_id: str = ""
    """The whole id."""
    after: int = -1
    """Only those with a higher number: the next page begins after the last of one."""
    limit: int = MAX_LISTED


class Queue(Protocol):
    """Where a letter may go back to."""

    def readmit(self, letter: Letter) -> int | None:
        """The number under which ``letter`` may be queued now; None: its request lives already, or
        there is no room."""

    def revive(self, requests: list[Request]) -> None:
        """Letters have become queued rows again, with these numbers."""


class Letters:
    """The dead letters of one mailbox, from code; owned by the mailbox."""

    def __init__(self, queue: Queue, state_file: StateFile[Any], max_bytes: int) -> None:
        self._queue = queue
        self._state_file = state_file
        self._shelf = Shelf(max_bytes)
        self.buried = 0
        """Since the start."""

    def __len__(self) -> int:
        return len(self._shelf)

    @property
    def size(self) -> int:
        """Bytes of all that are kept."""
        return self._shelf.bytes

    @property
    def dropped(self) -> int:
        """For want of room, since the start."""
        return self._shelf.dropped

    def restore(self, dead: list[tuple[int, int, str]]) -> None:
        """Take over what a start found."""
        for sequence, size, stranger in dead:
            self._shelf.restore(sequence, size + ROW_BYTES, stranger)

    def bury(self, request: Request, reason: str, done: Row | None) -> None:
        """Keep a request that was given up; it has its number. It rides the next commit.

        Args:
            done: The row that finishes the request, where it was stored.
        """
        size = len(request.envelope) + len(request.last_error) + ROW_BYTES
        too_many = self._shelf.add(request.sequence, size)
        self.buried += 1
        work = partial(_bury, letter=_letter_row(request, reason), done=done, too_many=too_many)
        self._state_file.ride(Task(work, self._state_file.keep_if_failed, size=size, reserve=VITAL))

    def receive(self, request: Request, done: Callable[[Exception | None], None]) -> None:
        """Keep a message that can never run; ``done`` hears of the commit, or why there is none.

        It has its number. One for which there is no room among the letters is dropped, which is
        no error.
        """
        size = len(request.envelope) + ROW_BYTES
        too_many = self._shelf.add_stranger(request.sequence, size, request.sender)
        self.buried += 1
        work = partial(
            _bury, letter=_letter_row(request, request.dead), done=None, too_many=too_many
        )

        def tell(task: Task) -> None:
            if task.error is not None:
                self._shelf.forget(request.sequence)
            done(task.error)

        self._state_file.ride(Task(work, tell, size=size))

    async def find(self, which: Filter = Filter()) -> list[Letter]:
        """The letters that fit, oldest first, without their envelopes."""
        return await self._state_file.ask(partial(list_letters, which=which))

    async def show(self, sequence: int) -> Letter | None:
        """One letter with its envelope."""
        return await self._state_file.ask(partial(read_letter, sequence=sequence))

    async def drop(self, sequences: Iterable[int]) -> list[int]:
        """Delete letters; returns those that there were."""
        chosen = list(sequences)
        dropped = await self._state_file.ask(partial(_drop, sequences=chosen), reserve=VITAL)
        self._forget(dropped)
        return dropped

    async def replay(self, sequences: Iterable[int]) -> list[int]:
        """Queue letters again, under the ids they had; returns which were.

        A letter stays where it is if it could not be decoded, if its request lives already,
        or if the mailbox has no room for it. Its counts start again; its reply, if it was
        remembered, is forgotten.
        """
        named = list(sequences)
        done: list[int] = []
        for start in range(0, len(named), MAX_LISTED):
            done += await self._replay(named[start : start + MAX_LISTED])
        return done

    async def _replay(self, sequences: list[int]) -> list[int]:
        letters = await self.find(Filter(sequences=tuple(sequences)))
        chosen = [
            (letter.sequence, number)
            for letter in letters
            if letter.request_id and (number := self._queue.readmit(letter)) is not None
        ]
        revived = await self._state_file.ask(partial(_replay, chosen=chosen))
        self._forget([old for old, _ in revived])
        self._queue.revive([request for _, request in revived])
        return [old for old, _ in revived]

    def _forget(self, sequences: Iterable[int]) -> None:
        for sequence in sequences:
            self._shelf.forget(sequence)


def list_letters(connection: Connection, *, which: Filter) -> list[Letter]:
    """The SQL of :meth:`Letters.find`, for readers in other processes too."""
    rows = connection.execute(
        "SELECT sequence, sender, request_id, kind, route_key, ifnull(length(body), 0), reason,"
        " attempts, crashes, failures, died_at, ifnull(last_error, '') FROM actr_dead"
        " WHERE (:sender = '' OR instr(sender, :sender))"
        " AND (:route = '' OR instr(route_key, :route))"
        " AND (:reason = '' OR instr(reason, :reason))"
        " AND (:request_id = '' OR request_id = :request_id)"
        " AND (:sequences = '[]' OR sequence IN (SELECT value FROM json_each(:sequences)))"
        " AND sequence > :after ORDER BY sequence LIMIT :limit",
        {
            "sender": which.sender,
            "route": which.route,
            "reason": which.reason,
            "request_id": which.request_id,
            "sequences": str(list(which.sequences)),
            "after": which.after,
            "limit": min(which.limit, MAX_LISTED),
        },
    ).fetchall()
    return [_letter(row) for row in rows]


def read_letter(connection: Connection, *, sequence: int) -> Letter | None:
    """The SQL of :meth:`Letters.show`."""
    row = connection.execute(
        "SELECT sequence, sender, request_id, kind, route_key, ifnull(length(body), 0), reason,"
        " attempts, crashes, failures, died_at, ifnull(last_error, ''), body FROM actr_dead"
        " WHERE sequence=?",
        (sequence,),
    ).fetchone()
    return _letter(row) if row else None


def _letter(row: Row) -> Letter:
    return Letter(
        sequence=row[0],
        sender=row[1],
        request_id=row[2],
        payload_type=payload_type_of(row[3]),
        is_tell=is_tell(row[3]),
        route_key=row[4],
        size=row[5],
        reason=row[6],
        attempts=row[7],
        crashes=row[8],
        failures=row[9],
        died_at=row[10],
        last_error=row[11],
        envelope=(row[12] or b"") if len(row) > 12 else None,
    )


def _letter_row(request: Request, reason: str) -> Row:
    return (
        request.sequence,
        request.sender,
        request.request_id,
        kind_of(request),
        request.route_key,
        request.envelope,
        to_signed(request.store_id),
        request.call_number,
        request.attempts,
        request.crashes,
        request.failures,
        reason,
        time.time(),
        request.last_error,
    )


def _bury(connection: Connection, *, letter: Row, done: Row | None, too_many: list[int]) -> None:
    if done is not None:
        UPSERT.execute(connection, [done])
    if letter[0] not in too_many:
        connection.execute(f"INSERT OR REPLACE INTO actr_dead VALUES({','.join('?' * 14)})", letter)
    _drop(connection, sequences=too_many)


def _drop(connection: Connection, *, sequences: list[int]) -> list[int]:
    if not sequences:
        return []
    connection.execute(KEEP_HIGHEST)
    rows = connection.execute(
        "DELETE FROM actr_dead WHERE sequence IN (SELECT value FROM json_each(?))"
        " RETURNING sequence",
        (str(sequences),),
    ).fetchall()
    return [row[0] for row in rows]


def _replay(connection: Connection, *, chosen: list[tuple[int, int]]) -> list[tuple[int, Request]]:
    revived = []
    for old, new in chosen:
        row = connection.execute(
            f"SELECT {REQUEST_COLUMNS} FROM actr_dead WHERE sequence=?",  # noqa: S608
            (old,),
        ).fetchone()
        if row is None:
            continue
        request = request_of(row)
        request.attempts = request.crashes = request.failures = 0
        request.last_error = ""
        request.sequence = new
        connection.execute("DELETE FROM actr_dead WHERE sequence=?", (old,))
        connection.execute("DELETE FROM actr_inbox WHERE sequence=?", (old,))
        UPSERT.execute(connection, [insert_row(request)])
        revived.append((old, request))
    return revived
