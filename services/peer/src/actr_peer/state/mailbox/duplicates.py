"""What the mailbox knows by (sender, request id): live requests, and finished ones.

A repeated request attaches to the first while that lives, and is answered with its reply once
it is finished. Replies are in memory until they are saved, then in the table.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from actr_peer.protocol.mailbox.finished import LOT, Caller, Finished, Lot
from actr_peer.protocol.mailbox.remembered import Remembered
from actr_peer.protocol.mailbox.requests import (
    REPEATED_QUIETLY,
    ROW_BYTES,
    STORED,
    Put,
    Repeated,
    Request,
)
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.mailbox.tables import KEEP_HIGHEST, to_signed
from actr_peer.state.storage.database import Connection
from actr_peer.state.storage.operations import Finish, Task
from actr_peer.state.storage.pages import VITAL
from actr_peer.state.storage.state_file import StateFile

log = logging.getLogger(__name__)

Done = Callable[[Put], None]
_SIGNAL = PayloadType.RPC_SIGNAL  # looking it up in the enum costs as much as the comparison


def size_of(request: Request) -> int:
    """Bytes that a request takes in the mailbox."""
    return len(request.envelope) + ROW_BYTES


class Entry:
    """A request that is not finished."""

    __slots__ = ("done", "is_cancelled", "is_signal", "is_stored", "request", "size", "waiters")

    def __init__(self, request: Request, done: Done | None = None) -> None:
        self.request = request
        self.size = len(request.envelope) + ROW_BYTES
        self.is_signal = request.payload_type is _SIGNAL
        self.done = done
        self.is_stored = done is None
        """False until its row is committed."""
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


Known = Entry | Finished | int
"""What is known of a request: it lives; or it is finished, and not saved yet or durable; or a
number: its sequence number where the table has its reply, the same below zero where it has none."""


class Duplicates:
    """The index of live requests, and the memory of finished ones."""

    def __init__(self, state_file: StateFile[Any], remembered: Remembered) -> None:
        self._state_file = state_file
        self._remembered = remembered
        self._known: dict[str, dict[str, Known]] = {}
        """By sender and request id."""
        self._reading: dict[int, list[Done]] = {}
        """Who waits for a reply that is being read back, by its sequence number."""
        self._forgotten: list[int] = []
        self._horizons: dict[Caller, int] = {}

    def restore(
        self,
        finished: list[Finished],
        horizons: list[tuple[str, int, int]],
        clock: Callable[[], float],
        *,
        quiet: float = 0.0,
    ) -> None:
        """Take over what a start found.

        Args:
            quiet: Seconds for which nobody can have been heard: nothing was written.
        """
        self._now = clock
        now = clock()
        for sender, store_id, low in horizons:
            self._remembered.restore_low((sender, store_id), low)
        for one in finished:
            self._remember(one, now if one.caller is None else now - quiet)
            if one.caller is None and self.get(one.sender, one.request_id) is one:
                self._known[one.sender][one.request_id] = _number(one)

    def get(self, sender: str, request_id: str) -> Known | None:
        known = self._known.get(sender)
        return known.get(request_id) if known is not None else None

    def entry(self, sender: str, request_id: str) -> Entry | None:
        """A request that lives."""
        known = self.get(sender, request_id)
        return known if isinstance(known, Entry) else None

    def add(self, entry: Entry) -> None:
        """A new request lives."""
        request = entry.request
        try:
            self._known[request.sender][request.request_id] = entry
        except KeyError:
            self._known[request.sender] = {request.request_id: entry}

    def revive(self, entry: Entry) -> None:
        """A finished request, if it is known as such, runs again."""
        known = self.get(entry.request.sender, entry.request.request_id)
        if isinstance(known, Finished) and known.caller is not None:
            self._remembered.discard(known)
        self.add(entry)

    def discard(self, request: Request) -> None:
        """A live request is not known any more."""
        self._drop(request.sender, request.request_id)

    def _drop(self, sender: str, request_id: str) -> None:
        known = self._known[sender]
        del known[request_id]
        if not known:
            del self._known[sender]

    def repeat(self, known: Known, done: Done) -> None:
        """Answer a repeated request from what is known of the first."""
        if isinstance(known, Entry):
            if known.is_stored:
                done(REPEATED_QUIETLY)
            else:
                known.waiters = [*(known.waiters or ()), done]
            return
        if isinstance(known, Finished):
            if known.reply is not None:
                done(Repeated(known.reply))
                return
            known = _number(known)
        if known < 0:
            done(REPEATED_QUIETLY)
        elif known in self._reading:
            self._reading[known].append(done)
        else:
            self._reading[known] = [done]
            read = partial(_read_reply, sequence=known)
            self._state_file.write(Task(read, partial(self._read, known)))

    def _read(self, sequence: int, task: Task) -> None:
        """A reply has been read back: once, for all who had repeated the request until now."""
        put = Repeated(task.result)
        for done in self._reading.pop(sequence):
            done(put)

    def hear(self, request: Request) -> None:
        """The caller of a durable call says below which number it needs nothing more."""
        caller = (request.sender, request.store_id)
        self._remembered.hear(caller, self._now())
        passed = self._remembered.raise_low(caller, request.low_water)
        if passed is not None:
            self._horizons[caller] = request.low_water
            self._forget(passed)

    def is_stale(self, request: Request) -> bool:
        """Whether the caller of this durable call has finished it before."""
        caller = (request.sender, request.store_id)
        return self._remembered.is_stale(caller, request.call_number)

    def make_room(self, request: Request) -> bool:
        """Whether one more durable call can be remembered; callers long silent may lose theirs."""
        if self._remembered.has_room(request.sender):
            return True
        for caller, low, finished in self._remembered.make_room(request.sender, self._now()):
            log.warning("durable calls forgotten: caller=%s calls=%d", caller[0], len(finished))
            self._horizons[caller] = low
            self._forget(finished)
        return self._remembered.has_room(request.sender)

    def finish(self, request: Request, reply: bytes | None, now: float) -> Finished:
        """A live request is finished; its reply is not saved yet."""
        finished = Finished(
            request.sender,
            request.request_id,
            request.sequence,
            size=len(reply) if reply else 0,
            reply=reply,
            caller=(request.sender, request.store_id) if request.call_number else None,
            number=request.call_number,
        )
        self._remember(finished, now)
        return finished

    def _remember(self, finished: Finished, now: float) -> None:
        try:
            self._known[finished.sender][finished.request_id] = finished
        except KeyError:
            self._known[finished.sender] = {finished.request_id: finished}
        if finished.caller is not None:
            if not self._remembered.add_durable(finished, now):
                self._forget([finished])
            return
        leaving = self._remembered.add(finished, now)
        if leaving:
            for lot in leaving:
                self._forget_lot(lot)
            self.delete_forgotten()

    def withdraw(self, request: Request) -> None:
        """A live request is finished, and forgotten at once."""
        self.discard(request)
        self._forgotten.append(request.sequence)
        self.delete_forgotten()

    def saved(self, operation: Finish) -> None:
        """A completion is on disk, or there was no room for it."""
        finished: Finished = operation.owner
        if operation.error is None:
            self.note_saved(finished)
        elif self.get(finished.sender, finished.request_id) is finished:
            self._state_file.keep(operation)  # the next put or completion tries again

    def note_saved(self, finished: Finished) -> None:
        """The table has the reply; memory needs it no more."""
        finished.reply = None
        known = self._known.get(finished.sender)
        if (
            finished.caller is None
            and known is not None
            and known.get(finished.request_id) is finished
        ):
            known[finished.request_id] = _number(finished)

    def _forget(self, leaving: list[Finished]) -> None:
        for finished in leaving:
            if self.get(finished.sender, finished.request_id) is finished:
                self._drop(finished.sender, finished.request_id)
            self._forgotten.append(finished.sequence)
        if len(self._forgotten) >= LOT:
            self.delete_forgotten()

    def _forget_lot(self, lot: Lot) -> None:
        for request_id, sequence in lot:
            known = self.get(lot.sender, request_id)
            if isinstance(known, Finished):
                known = _number(known)
            # Else the request lives again, or was finished again later.
            if known in (sequence, -sequence):
                self._drop(lot.sender, request_id)
        self._forgotten.extend(lot.sequences)

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
        self._state_file.ride(Task(work, self._state_file.keep_if_failed, reserve=VITAL))


def _number(finished: Finished) -> int:
    """What is known of a finished request once it is saved."""
    return finished.sequence if finished.size else -finished.sequence


def _read_reply(connection: Connection, *, sequence: int) -> bytes | None:
    row = connection.execute(
        "SELECT body FROM actr_inbox WHERE sequence=? AND state=2", (sequence,)
    ).fetchone()
    return row[0] if row else None


def _delete(connection: Connection, *, sequences: list[int], horizons: dict[Caller, int]) -> None:
    connection.execute(KEEP_HIGHEST)
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
