"""What the mailbox knows by (sender, request id): live requests, and finished ones (spec 3.4).

A repeated request attaches to the first while that lives, and is answered with its reply once
it is finished. Replies are in memory until they are saved, then in the table.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from actr_peer.inbound.rows import to_signed
from actr_peer.protocol.mailbox import (
    REPEATED_QUIETLY,
    ROW_BYTES,
    STORED,
    Put,
    Repeated,
    Request,
    State,
)
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.remembered import Caller, Finished, Remembered
from actr_peer.storage.database import Connection
from actr_peer.storage.ledger import Ledger
from actr_peer.storage.operations import Finish, Task
from actr_peer.storage.pages import VITAL

FORGET_BATCH = 512
"""Forgotten rows that are deleted at once: whole pages rather than holes."""

Done = Callable[[Put], None]


def size_of(request: Request) -> int:
    """Bytes that a request takes in the mailbox."""
    return len(request.envelope) + ROW_BYTES


class Entry:
    """A request that is not finished."""

    __slots__ = ("done", "is_cancelled", "is_signal", "request", "size", "state", "waiters")

    def __init__(self, request: Request, done: Done | None, state: State) -> None:
        self.request = request
        self.size = len(request.envelope) + ROW_BYTES
        self.is_signal = request.payload_type is PayloadType.RPC_SIGNAL
        self.done = done
        self.state = state
        self.waiters: list[Done] | None = None
        """Of repeated puts that came before the first was safe."""
        self.is_cancelled = False

    def answer(self, put: Put) -> None:
        """Tell the sender, once, and whoever repeated the request meanwhile."""
        done, self.done = self.done, None
        waiters, self.waiters = self.waiters, None
        if done is not None:
            done(put)
        for waiter in waiters or ():
            waiter(REPEATED_QUIETLY if put is STORED else put)


class Duplicates:
    """The index of live requests, and the memory of finished ones."""

    def __init__(self, ledger: Ledger[Any], remembered: Remembered) -> None:
        self._ledger = ledger
        self._remembered = remembered
        self._known: dict[tuple[str, str], Entry | Finished] = {}
        self._forgotten: list[int] = []
        self._horizons: dict[Caller, int] = {}

    def restore(
        self, finished: list[Finished], horizons: list[tuple[str, int, int]], now: float
    ) -> None:
        """Take over what a start found."""
        for sender, store_id, low in horizons:
            self._remembered.restore_low((sender, store_id), low)
        for one in finished:
            self._known[one.key] = one
            self._forget(self._remembered.add(one, now))

    def get(self, key: tuple[str, str]) -> Entry | Finished | None:
        return self._known.get(key)

    def add(self, entry: Entry) -> None:
        """A new request lives."""
        request = entry.request
        self._known[request.sender, request.request_id] = entry

    def revive(self, entry: Entry) -> None:
        """A finished request, if it is known as such, runs again."""
        known = self._known.get(entry.request.key)
        if isinstance(known, Finished):
            self._remembered.discard(known)
        self.add(entry)

    def discard(self, request: Request) -> None:
        """A live request was not stored after all."""
        del self._known[request.key]

    def repeat(self, known: Entry | Finished, done: Done) -> None:
        """Answer a repeated request from what is known of the first."""
        if isinstance(known, Entry):
            if known.state is not State.WRITING:
                done(REPEATED_QUIETLY)
            else:
                known.waiters = [*(known.waiters or ()), done]
        elif known.reply is not None or not known.size:
            done(Repeated(known.reply))
        else:
            read = partial(_read_reply, sequence=known.sequence)
            self._ledger.write(Task(read, lambda task: done(Repeated(task.result))))

    def hear(self, request: Request) -> None:
        """The caller of a durable call says below which number it needs nothing more."""
        caller = (request.sender, request.store_id)
        passed = self._remembered.raise_low(caller, request.low_water)
        if passed is not None:
            self._horizons[caller] = request.low_water
            self._forget(passed)

    def is_stale(self, request: Request) -> bool:
        """Whether the caller of this durable call has finished it before."""
        caller = (request.sender, request.store_id)
        return self._remembered.is_stale(caller, request.call_number)

    @property
    def has_room(self) -> bool:
        """False while no more durable calls can be remembered."""
        return self._remembered.has_room

    def finish(self, request: Request, reply: bytes | None, now: float) -> Finished:
        """A live request is finished; its reply is not saved yet."""
        key = (request.sender, request.request_id)
        finished = Finished(
            key,
            request.sequence,
            size=len(reply) if reply else 0,
            reply=reply,
            caller=(request.sender, request.store_id) if request.call_number else None,
            number=request.call_number,
        )
        self._known[key] = finished
        leaving = self._remembered.add(finished, now)
        if leaving:
            self._forget(leaving)
        return finished

    def withdraw(self, request: Request, now: float) -> None:
        """A live request is finished, and forgotten at once."""
        finished = self.finish(request, None, now)
        self._remembered.discard(finished)
        self._forget([finished])
        self.delete_forgotten()

    def saved(self, operation: Finish) -> None:
        """A completion is on disk, or there was no room for it."""
        finished: Finished = operation.owner
        if operation.error is None:
            finished.reply = None
        elif self._known.get(finished.key) is finished:
            self._ledger.keep(operation)  # the next put or completion tries again

    def _forget(self, leaving: list[Finished]) -> None:
        for finished in leaving:
            if self._known.get(finished.key) is finished:
                del self._known[finished.key]
            self._forgotten.append(finished.sequence)
        if len(self._forgotten) >= FORGET_BATCH:
            self.delete_forgotten()

    def delete_forgotten(self) -> None:
        """Horizons and deletions in one transaction: a stale repeat must meet one of them."""
        if not self._forgotten and not self._horizons:
            return
        for caller in self._remembered.evicted:
            self._horizons[caller] = 0
        self._remembered.evicted.clear()
        sequences, self._forgotten = self._forgotten, []
        horizons, self._horizons = self._horizons, {}
        work = partial(_delete, sequences=sequences, horizons=horizons)
        self._ledger.ride(Task(work, self._ledger.keep_if_failed, reserve=VITAL))


def _read_reply(connection: Connection, *, sequence: int) -> bytes | None:
    row = connection.execute(
        "SELECT body FROM actr_inbox WHERE sequence=? AND state=2", (sequence,)
    ).fetchone()
    return row[0] if row else None


def _delete(connection: Connection, *, sequences: list[int], horizons: dict[Caller, int]) -> None:
    connection.execute(
        "DELETE FROM actr_inbox WHERE sequence IN (SELECT value FROM json_each(?))",
        (json.dumps(sequences),),
    )
    for (sender, store_id), low in horizons.items():
        if low:
            connection.execute(
                "INSERT OR REPLACE INTO actr_horizon VALUES(?, ?, ?)",
                (sender, to_signed(store_id), low),
            )
        else:  # forgotten for another's
            connection.execute(
                "DELETE FROM actr_horizon WHERE sender=? AND store_id=?",
                (sender, to_signed(store_id)),
            )
