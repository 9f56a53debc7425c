"""The durable queue of requests: stored before acknowledged, remembered after done (spec 3.4).

The loop decides with what it holds in memory, the writer makes it durable (decision 0008)::

    put ──► known? ──► room? ──► writer ──commit──► acknowledged, delivered from memory
    complete ──► remembered ──► rides the next commit

The table is for recovery, and for the replies of repeated requests.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from actr_peer.errors import Code
from actr_peer.inbound.duplicates import Done, Duplicates, Entry, size_of
from actr_peer.inbound.letters import Letter, Letters
from actr_peer.inbound.rows import UPSERT, done_row, insert_row
from actr_peer.inbound.store import Found, MailboxStore
from actr_peer.inbound.transaction import Transaction
from actr_peer.protocol.admission import Admission, Door
from actr_peer.protocol.mailbox import (
    CAPACITY,
    DEAD_SHARE,
    MAX_ATTEMPTS,
    MAX_BYTES,
    MAX_REMEMBERED,
    QUEUE_SHARE,
    REMEMBER,
    REPEATED_QUIETLY,
    REPLY_SHARE,
    RETRY_AFTER,
    ROW_BYTES,
    STORED,
    Pressure,
    Refused,
    Request,
    State,
)
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.remembered import Remembered
from actr_peer.storage.database import Connect, Connection, Durability, connect
from actr_peer.storage.journal import Journal, NoJournal
from actr_peer.storage.ledger import Ledger
from actr_peer.storage.operations import Finish, Insert, Operation, Task, UrgentInsert
from actr_peer.storage.pages import URGENT, VITAL


@dataclass(slots=True)
class Counts:
    """What happened since the start."""

    stored: int = 0
    completed: int = 0
    repeated: int = 0
    refused: int = 0
    pushed_back: int = 0
    recovered: int = 0
    commits: int = 0


class Mailbox:
    """One actor's mailbox. Entering the block recovers, leaving it saves and closes.

    Args:
        path: The database file; its log, lock and run journal lie beside it. Not used with
            durability ``memory``.
        capacity: Requests queued or running; a tenth is kept for RPC_SIGNAL.
        max_bytes: Of the database file; a quarter of it may be queued requests.
        max_attempts: Interrupted starts after which a request is a dead letter.
        durability: ``power``: safe from power cuts; ``process``: safe from ``kill -9``;
            ``memory``: nothing survives.
        remember: Seconds that finished calls which are not durable are remembered.
        max_remembered: Finished calls that are remembered, of each sort.
        connect: How the database is opened; tests bring their own.

    Raises (on entering):
        ConfigError: If the file cannot be used.
        BusyError: If another process has it.
    """

    def __init__(
        self,
        path: str | Path | None,
        *,
        capacity: int = CAPACITY,
        max_bytes: int = MAX_BYTES,
        max_attempts: int = MAX_ATTEMPTS,
        durability: Durability = "power",
        remember: float = REMEMBER,
        max_remembered: int = MAX_REMEMBERED,
        connect: Connect = connect,
    ) -> None:
        self.path = path = str(path or ":memory:")
        self.on_pressure: Callable[[Pressure], None] = lambda pressure: None
        """Told when senders begin to be pushed back, and when they no longer are."""
        self.counts = Counts()
        self.journal: Journal = NoJournal()
        self.poisoned: list[tuple[Request, str]] = []
        """What the start gave up, and why; whoever attaches buries it."""
        self._store = MailboxStore(
            path,
            durability=durability,
            max_bytes=max_bytes,
            max_attempts=max_attempts,
            connect=connect,
        )
        self._ledger: Ledger[Found] = Ledger(path, self._store, durability, self._committed)
        self._duplicates = Duplicates(
            self._ledger,
            Remembered(
                seconds=remember, max_count=max_remembered, max_bytes=max_bytes // REPLY_SHARE
            ),
        )
        self.letters = Letters(self, self._ledger, max_bytes // DEAD_SHARE)
        self._admission: Admission[Entry] = Admission(capacity, max_bytes // QUEUE_SHARE)
        self._last_sequence = 0
        self._sink: Callable[[list[Request]], None] | None = None
        self._undelivered: list[Request] = []

    async def __aenter__(self) -> Self:
        self._now = asyncio.get_running_loop().time
        found = await self._ledger.open()
        self.journal = self._store.journal or self.journal
        self._last_sequence = found.last_sequence
        self._duplicates.restore(found.finished, found.horizons, self._now())
        for request in (*found.queued, *(request for request, _ in found.poisoned)):
            self._duplicates.add(Entry(request, None, State.QUEUED))
            self._admission.take(size_of(request))
        self._undelivered = found.queued
        self.poisoned = found.poisoned
        self.counts.recovered = len(found.queued)
        self.letters.restore(found.dead)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._sink = None
        self._duplicates.delete_forgotten()
        await self._ledger.close()

    def attach(self, sink: Callable[[list[Request]], None]) -> None:
        """Deliver to ``sink``, in order of arrival; first what the start has recovered."""
        self._sink = sink
        waiting, self._undelivered = self._undelivered, []
        if waiting:
            sink(waiting)

    @property
    def depth(self) -> int:
        """Requests queued or running."""
        return self._admission.messages

    @property
    def waiting(self) -> int:
        """Requests that wait for room, unacknowledged."""
        return self._admission.waiting

    # Arriving

    def put(self, request: Request, done: Done) -> None:
        """Store ``request``; ``done`` is called once, on the loop, when it is safe or useless.

        Where there is no room, ``done`` waits until there is: the sender's session then gets
        no acknowledgement, and stops sending.
        """
        if request.call_number:
            self._duplicates.hear(request)
        known = self._duplicates.get((request.sender, request.request_id))
        if known is not None:
            self.counts.repeated += 1
            self._duplicates.repeat(known, done)
            return
        entry = Entry(request, done, State.WRITING)
        if request.call_number and self._is_over(entry):
            return
        match self._admission.enter(entry):
            case Door.IN:
                self._save(entry)
            case Door.WAITS:
                self._duplicates.add(entry)
                self.counts.pushed_back += 1
                if self._admission.waiting == 1:
                    self.on_pressure(Pressure.FULL)
            case Door.FULL:
                self._refuse(entry, "the mailbox is full")

    def _is_over(self, entry: Entry) -> bool:
        """Whether a new durable call is not to be stored: it is old, or too many are kept."""
        if self._duplicates.is_stale(entry.request):
            self.counts.repeated += 1
            entry.answer(REPEATED_QUIETLY)
        elif not self._duplicates.has_room:
            self._refuse(entry, "too many durable calls are remembered")
        else:
            return False
        return True

    def _save(self, entry: Entry) -> None:
        request = entry.request
        self._duplicates.add(entry)
        request.sequence = self.next_sequence()
        kind = UrgentInsert if entry.is_signal else Insert
        self._ledger.write(kind(entry, insert_row(request), entry.size))

    def next_sequence(self) -> int:
        """The next number in the order of arrival."""
        self._last_sequence += 1
        return self._last_sequence

    def _leave(self, request: Request) -> None:
        """A request takes no room any more; save those that waited for it."""
        self._admission.leave(size_of(request))
        if not self._admission.waiting:
            return
        for entry in self._admission.admitted():
            if entry.is_cancelled:
                self._duplicates.discard(entry.request)
                self._admission.leave(entry.size)
                entry.answer(REPEATED_QUIETLY)
            else:
                self._save(entry)
        if not self._admission.waiting:
            self.on_pressure(Pressure.EASED)

    def _refuse(self, entry: Entry, why: str) -> None:
        self.counts.refused += 1
        entry.answer(Refused(Code.RESOURCE_EXHAUSTED, why, RETRY_AFTER))

    # Ending

    def cancel(self, sender: str, request_id: str) -> Request | None:
        """The caller waits no more: a request that is not stored yet is never delivered.

        Returns:
            The request, if it was delivered and is not finished: it is the scheduler's to end.
        """
        entry = self._duplicates.get((sender, request_id))
        if not isinstance(entry, Entry):
            return None
        if entry.state is not State.WRITING:
            return entry.request
        entry.is_cancelled = True
        return None

    def complete(
        self,
        request: Request,
        reply: bytes | None,
        *,
        effects: Transaction | None = None,
        validate: bool = False,
        done: Callable[[sqlite3.Error | None], None] | None = None,
    ) -> None:
        """The request has run: remember its reply, and make room.

        Without effects this rides the next commit. With effects, it is written at once and in
        one transaction with them, and ``done`` hears of it after the sync; with an error,
        nothing is written and the request still runs.

        Args:
            validate: Repeat the reads of ``effects``; see :class:`Transaction`.
        """
        row = done_row(request.sequence, reply)
        size = ROW_BYTES + len(reply or b"")
        if effects is None:
            finished = self._duplicates.finish(request, reply, self._now())
            self._ledger.ride(Finish(finished, row, size))
            self._free(request)
            return
        apply = effects.seal(validate=validate)

        def work(connection: Connection) -> None:
            apply(connection)
            UPSERT.execute(connection, [row])

        def tell(task: Task) -> None:
            if task.error is None:
                self._duplicates.finish(request, reply, self._now()).reply = None
                self._free(request)
            if done is not None:
                done(task.error)

        self._ledger.write(Task(work, tell, size=size + effects.size, reserve=URGENT))

    def _free(self, request: Request) -> None:
        self.counts.completed += 1
        self._leave(request)

    def bury(self, request: Request, reason: str, reply: bytes | None = None) -> None:
        """Make ``request``, stored or not, a dead letter; see :meth:`Letters.bury`."""
        self.letters.bury(request, reason, reply)

    def close_request(self, request: Request, reply: bytes | None) -> bool:
        """Finish a request whose row somebody else writes; False if it was never stored."""
        if not isinstance(self._duplicates.get(request.key), Entry) or not request.request_id:
            return False
        self._duplicates.finish(request, reply, self._now())
        self._free(request)
        return True

    def may_replay(self, letter: Letter) -> bool:
        """Whether a dead letter can be queued again now."""
        key = (letter.sender, letter.request_id)
        return not isinstance(self._duplicates.get(key), Entry) and self._admission.fits(
            letter.size, is_signal=letter.payload_type is PayloadType.RPC_SIGNAL
        )

    def revive(self, requests: list[Request]) -> None:
        """Dead letters have become queued rows again."""
        for request in requests:
            self._duplicates.revive(Entry(request, None, State.QUEUED))
            self._admission.take(size_of(request))
        self.deliver(requests)

    def withdraw(self, request: Request) -> None:
        """Finish a request and forget it at once: a repeat of it runs again."""
        self._duplicates.withdraw(request, self._now())
        self._free(request)

    def note_failure(self, request: Request) -> None:
        """Keep ``failures`` and ``attempts``, which the caller has raised."""
        counts = (request.failures, request.attempts, request.sequence)

        def work(connection: Connection) -> None:
            connection.execute(
                "UPDATE actr_inbox SET failures=?, attempts=? WHERE sequence=?", counts
            )

        # One that finds no room is only a count.
        self._ledger.ride(Task(work, lambda task: None, reserve=VITAL))

    def transaction(self) -> Transaction:
        """Effects for :meth:`complete`."""
        return Transaction(self._ledger)

    # Committed

    def _committed(self, batch: list[Operation]) -> None:
        """One batch is safe; on the loop."""
        self.counts.commits += 1
        ready: list[Request] = []
        operations = iter(batch)
        try:
            for operation in operations:
                if isinstance(operation, Insert):
                    self._inserted(operation, ready)
                elif type(operation) is Finish:
                    self._duplicates.saved(operation)
                elif isinstance(operation, Task):
                    operation.done(operation)
        except BaseException:
            # A callback's bug goes to the loop's handler; the others still hear of theirs.
            if rest := list(operations):
                asyncio.get_running_loop().call_soon(self._committed, rest)
            raise
        finally:
            if ready:
                self.deliver(ready)

    def _inserted(self, operation: Insert, ready: list[Request]) -> None:
        entry: Entry = operation.owner
        request = entry.request
        if operation.error is not None:
            self._duplicates.discard(request)
            self._leave(request)
            self._refuse(entry, "no room on the disk")
            return
        self.counts.stored += 1
        entry.state = State.QUEUED
        if entry.is_cancelled:
            self.complete(request, None)
        else:
            ready.append(request)
        entry.answer(STORED)

    def deliver(self, requests: list[Request]) -> None:
        """Hand over requests that are stored, or keep them until somebody attaches."""
        if self._sink is None:
            self._undelivered.extend(requests)
        else:
            self._sink(requests)
