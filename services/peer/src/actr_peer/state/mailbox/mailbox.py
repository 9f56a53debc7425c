"""The durable queue of requests: stored before acknowledged, remembered after done.

The loop decides with what it holds in memory, the writer makes it durable (decision 0008)::

    put ──► known? ──► room? ──► writer ──commit──► acknowledged, delivered from memory
    complete ──► remembered ──► rides the next commit

The table is for recovery, and for the replies of repeated requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Self

from actr_peer.protocol.mailbox.admission import Admission
from actr_peer.protocol.mailbox.remembered import Remembered
from actr_peer.protocol.mailbox.requests import (
    CAPACITY,
    DEAD_SHARE,
    MAX_ATTEMPTS,
    MAX_BYTES,
    MAX_REMEMBERED,
    QUEUE_SHARE,
    REMEMBER,
    REPLY_SHARE,
    ROW_BYTES,
    STORED,
    Pressure,
    Request,
)
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.mailbox.certificates import Certificates
from actr_peer.state.mailbox.dead_letters import Letter, Letters
from actr_peer.state.mailbox.duplicates import Done, Duplicates, Entry
from actr_peer.state.mailbox.intake import Intake
from actr_peer.state.mailbox.letterbox import Letterbox
from actr_peer.state.mailbox.store import Found, MailboxStore
from actr_peer.state.mailbox.tables import UPSERT, done_row
from actr_peer.state.mailbox.transaction import Transaction
from actr_peer.state.storage.database import Connect, Connection, Durability, connect, real_path
from actr_peer.state.storage.journal import Journal, NoJournal
from actr_peer.state.storage.operations import Finish, Insert, Operation, Task, UrgentInsert
from actr_peer.state.storage.pages import URGENT, VITAL
from actr_peer.state.storage.state_file import StateFile, Tellers, tell_each, tell_task
from actr_peer.state.storage.witness import AfterLoss


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
        after_loss: ``refuse`` a file that has lost what was promised, or ``go-on`` with it.
        on_pressure: Told when senders begin to be pushed back, and when they no longer are.
        on_trouble, owner: As the state file's.
        connect: How the database is opened; tests bring their own.

    Raises (on entering):
        ConfigError: If the file cannot be used, or has lost what was promised.
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
        after_loss: AfterLoss = "refuse",
        on_pressure: Callable[[Pressure], None] = lambda pressure: None,
        on_trouble: Callable[[Exception], None] | None = None,
        owner: str = "",
        connect: Connect = connect,
    ) -> None:
        self.path = path = real_path(str(path or ":memory:"))
        self.journal: Journal = NoJournal()
        self.poisoned: list[tuple[Request, str]] = []
        """What the start gave up, and why; whoever attaches buries it."""
        self._store = MailboxStore(
            path,
            durability=durability,
            max_bytes=max_bytes,
            max_attempts=max_attempts,
            after_loss=after_loss,
            connect=connect,
        )
        self.state_file: StateFile[Found] = StateFile(
            path, self._store, durability, self._committed, on_trouble, owner=owner
        )
        reply_bytes = max_bytes // REPLY_SHARE
        remembered = Remembered(seconds=remember, max_count=max_remembered, max_bytes=reply_bytes)
        self._duplicates = Duplicates(self.state_file, remembered)
        self.letters = Letters(self, self.state_file, max_bytes // DEAD_SHARE)
        verbs = {"replay": self.letters.replay, "drop": self.letters.drop}
        self._letterbox = Letterbox(path + "-letters", verbs)
        self._intake = Intake(
            self.state_file,
            self._duplicates,
            Admission(capacity, max_bytes // QUEUE_SHARE),
            self.letters,
            on_pressure,
        )
        self.counts, self.certificates = self._intake.counts, Certificates(self.state_file)
        self._promised = 0
        """The highest sequence number that somebody has heard of."""
        self._sink: Callable[[list[Request]], None] | None = None
        self._undelivered: list[Request] = []
        self._tellers = self._make_tellers()

    def _make_tellers(self) -> Tellers:
        return {
            Insert: self._inserted,
            UrgentInsert: self._inserted,
            Finish: self._duplicates.saved,
            Task: tell_task,
        }

    async def __aenter__(self) -> Self:
        self._now = asyncio.get_running_loop().time
        found = await self.state_file.open()
        self.journal = self._store.journal or self.journal
        self._intake.last_sequence = self._promised = found.last_sequence
        self._duplicates.restore(found.finished, found.horizons, self._now, quiet=found.quiet)
        for request in (*found.queued, *(request for request, _ in found.poisoned)):
            self._intake.found(request)
        self._undelivered = found.queued
        self.poisoned = found.poisoned
        self.counts.recovered = len(found.queued)
        self.letters.restore(found.dead)
        self.certificates.found = found.certificates
        if self._store.journal is not None:
            await self._letterbox.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._sink = None
        if self._store.journal is not None:
            await self._letterbox.__aexit__(None, None, None)
        self._duplicates.delete_forgotten()
        try:
            await self.state_file.close()
        finally:
            self._store.close_notes()

    def attach(self, sink: Callable[[list[Request]], None]) -> None:
        """Deliver to ``sink``, in order of arrival; first what the start has recovered."""
        self._sink = sink
        self._deliver()

    @property
    def depth(self) -> int:
        """Requests queued or running."""
        return self._intake.admission.messages

    @property
    def waiting(self) -> int:
        """Requests that wait for room, unacknowledged."""
        return self._intake.admission.waiting

    # Arriving

    def put(self, request: Request, done: Done) -> None:
        """Store ``request``; ``done`` is called once, on the loop, when it is safe or useless.

        Where there is no room, ``done`` waits until there is: the sender's session then gets
        no acknowledgement, and stops sending.
        """
        self._intake.put(request, done)

    # Ending

    def cancel(self, sender: str, request_id: str) -> Request | None:
        """The caller waits no more: a request that is not stored yet is never delivered.

        Returns:
            The request, if it was delivered and is not finished: it is the scheduler's to end.
        """
        entry = self._duplicates.entry(sender, request_id)
        if entry is None:
            return None
        if entry.is_stored:
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
        done: Callable[[Exception | None], None] | None = None,
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
            self.state_file.ride(Finish(finished, row, size))
            self.counts.completed += 1
            self._intake.leave(request)
            return
        apply = effects.seal(validate=validate)

        journal = self.journal

        def work(connection: Connection) -> None:
            # A statement that kills the process is the request's doing, as its handler would be.
            journal.commit(request.sequence)
            try:
                apply(connection)
                UPSERT.execute(connection, [row])
            finally:
                journal.commit(0)

        def tell(task: Task) -> None:
            if task.error is None:
                self._duplicates.note_saved(self._duplicates.finish(request, reply, self._now()))
                self._free(request)
            if done is not None:
                done(task.error)

        self.state_file.write(Task(work, tell, size=size + effects.size, reserve=URGENT))

    def _free(self, request: Request) -> None:
        self.counts.completed += 1
        self._intake.leave(request)

    def bury(self, request: Request, reason: str, reply: bytes | None = None) -> None:
        """Make ``request`` a dead letter; one that was stored is finished, ``reply`` remembered.

        It rides the next commit.
        """
        if not request.sequence:
            request.sequence = self._intake.next_sequence()
        if self._duplicates.entry(request.sender, request.request_id) is None:  # never stored
            self.letters.bury(request, reason, None)
            return
        self.letters.bury(request, reason, done_row(request.sequence, reply))
        self._duplicates.finish(request, reply, self._now())
        self._free(request)

    def readmit(self, letter: Letter) -> int | None:
        """See :class:`~actr_peer.state.mailbox.dead_letters.Queue`."""
        is_signal = letter.payload_type is PayloadType.RPC_SIGNAL
        lives = self._duplicates.entry(letter.sender, letter.request_id) is not None
        if lives or not self._intake.admission.fits(letter.size, is_signal=is_signal):
            return None
        return self._intake.next_sequence()

    def revive(self, requests: list[Request]) -> None:
        """Dead letters have become queued rows again."""
        for request in requests:
            self._intake.found(request)
        self.deliver(requests)

    def withdraw(self, request: Request) -> None:
        """Finish a request and forget it at once: a repeat of it runs again."""
        self._duplicates.withdraw(request)
        self._free(request)

    def note_failure(self, request: Request) -> None:
        """Keep ``failures``, ``attempts`` and ``last_error``, which the caller has changed."""
        noted = (request.failures, request.attempts, request.last_error, request.sequence)

        def work(connection: Connection) -> None:
            connection.execute(
                "UPDATE actr_inbox SET failures=?, attempts=?, last_error=? WHERE sequence=?",
                noted,
            )

        # One that finds no room is only a count.
        self.state_file.ride(Task(work, lambda task: None, reserve=VITAL))

    def transaction(self) -> Transaction:
        """Effects for :meth:`complete`."""
        return Transaction(self.state_file)

    # Committed

    def _committed(self, batch: list[Operation]) -> None:
        """One batch is safe; on the loop."""
        self.counts.commits += 1
        try:
            tell_each(batch, self._tellers, self._committed)
        finally:
            if self._store.witness is not None:
                self._store.witness.note(self._promised)
            self._deliver()  # when all have heard of theirs

    def _inserted(self, operation: Insert) -> None:
        request = self._intake.inserted(operation)
        if request is None:
            return
        if request.sequence > self._promised:
            self._promised = request.sequence
        entry: Entry = operation.owner
        if entry.is_cancelled:
            self.complete(request, None)
        else:
            self._undelivered.append(request)
        entry.answer(STORED)

    def deliver(self, requests: list[Request]) -> None:
        """Hand over requests that are stored, or keep them until somebody attaches."""
        self._undelivered.extend(requests)
        self._deliver()

    def _deliver(self) -> None:
        if self._undelivered and self._sink is not None:
            requests, self._undelivered = self._undelivered, []
            self._sink(requests)
