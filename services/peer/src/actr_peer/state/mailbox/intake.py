"""How requests come into the mailbox: known ones are answered, new ones stored or made to wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from actr_peer.errors import CallError, Code
from actr_peer.protocol.mailbox.admission import Admission, Door
from actr_peer.protocol.mailbox.requests import (
    REPEATED_QUIETLY,
    RETRY_AFTER,
    ROW_BYTES,
    STORED,
    Pressure,
    Refused,
    Repeated,
    Request,
)
from actr_peer.protocol.rpc.envelopes import encode_error
from actr_peer.state.mailbox.dead_letters import Letters
from actr_peer.state.mailbox.duplicates import Done, Duplicates, Entry, size_of
from actr_peer.state.mailbox.tables import insert_row
from actr_peer.state.storage.database import is_full
from actr_peer.state.storage.operations import Insert, UrgentInsert
from actr_peer.state.storage.state_file import StateFile

_IN = Door.IN  # looked up once: every request is compared with it


def code_of(error: Exception) -> Code:
    """What a sender is told of an error of the disk."""
    return Code.RESOURCE_EXHAUSTED if is_full(error) else Code.UNAVAILABLE


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


def _finished_before(request: Request) -> bytes:
    """What a caller is told whose mark had passed this call.

    Late repeats are usual, and nobody waits for their reply. Who does has an older copy of its
    outbox, or was silent for so long that its calls were forgotten: it must not wait for ever.
    """
    text = f"{request.route_key}: call {request.call_number} was finished before, and is forgotten"
    return encode_error(request.request_id, CallError(Code.DATA_LOSS, text))


class Intake:
    """Part of the mailbox.

    Args:
        admission: How much may be inside.
        letters: Keeps what can never run.
        on_pressure: Told when senders begin to be pushed back, and when they no longer are.
    """

    def __init__(
        self,
        state_file: StateFile[Any],
        duplicates: Duplicates,
        admission: Admission[Entry],
        letters: Letters,
        on_pressure: Callable[[Pressure], None],
    ) -> None:
        self.counts = Counts()
        self.admission = admission
        self.last_sequence = 0
        self._state_file = state_file
        self._duplicates = duplicates
        self._letters = letters
        self._on_pressure = on_pressure

    def found(self, request: Request) -> None:
        """A request is stored already."""
        self._duplicates.revive(Entry(request))
        self.admission.take(size_of(request))

    def put(self, request: Request, done: Done) -> None:
        """See :meth:`Mailbox.put`."""
        if request.dead:
            self._enter(Entry(request, done))
            return
        if request.call_number:
            self._duplicates.hear(request)
        known = self._duplicates.get(request.sender, request.request_id)
        if known is not None:
            self.counts.repeated += 1
            self._duplicates.repeat(known, done)
            return
        entry = Entry(request, done)
        if request.call_number and self._is_over(entry):
            return
        self._enter(entry)

    def _enter(self, entry: Entry) -> None:
        door = self.admission.enter(entry)
        if door is _IN:
            self._save(entry)
        elif door is Door.WAITS:
            if not entry.request.dead:
                self._duplicates.add(entry)
            self.counts.pushed_back += 1
            if self.admission.waiting == 1:
                self._on_pressure(Pressure.FULL)
        else:
            self._refuse(entry, "the mailbox is full")

    def _is_over(self, entry: Entry) -> bool:
        """Whether a new durable call is not to be stored: it is old, or too many are kept."""
        if self._duplicates.is_stale(entry.request):
            self.counts.repeated += 1
            entry.answer(Repeated(_finished_before(entry.request)))
        elif not self._duplicates.make_room(entry.request):
            self._refuse(entry, "too many durable calls are remembered")
        else:
            return False
        return True

    def _save(self, entry: Entry) -> None:
        request = entry.request
        if request.dead:
            request.sequence = self.next_sequence()
            self._letters.receive(request, partial(self._kept, entry))
            return
        self._duplicates.add(entry)
        self.last_sequence += 1
        request.sequence = self.last_sequence
        kind = UrgentInsert if entry.is_signal else Insert
        self._state_file.write(kind(entry, insert_row(request), entry.size))

    def _kept(self, entry: Entry, error: Exception | None) -> None:
        """A message that can never run is among the dead letters, or could not be kept."""
        self.leave(entry.request)
        if error is None:
            entry.answer(STORED)
        else:
            self._refuse(entry, f"the mailbox cannot keep it: {error}", code_of(error))

    def next_sequence(self) -> int:
        """The next number in the order of arrival."""
        self.last_sequence += 1
        return self.last_sequence

    def leave(self, request: Request) -> None:
        """A request takes no room any more; save those that waited for it."""
        self.admission.leave(len(request.envelope) + ROW_BYTES)
        if not self.admission.waiting:
            return
        for entry in self.admission.admitted():
            if entry.is_cancelled:
                self._duplicates.discard(entry.request)
                self.admission.leave(entry.size)
                entry.answer(REPEATED_QUIETLY)
            else:
                self._save(entry)
        if not self.admission.waiting:
            self._on_pressure(Pressure.EASED)

    def _refuse(self, entry: Entry, why: str, code: Code = Code.RESOURCE_EXHAUSTED) -> None:
        self.counts.refused += 1
        entry.answer(Refused(code, why, RETRY_AFTER))

    def inserted(self, operation: Insert) -> Request | None:
        """A new request is on disk: returns it, for delivery. None: there was no room."""
        entry: Entry = operation.owner
        request = entry.request
        error = operation.error
        if error is not None:
            self._duplicates.discard(request)
            self.leave(request)
            self._refuse(entry, f"the mailbox cannot store it: {error}", code_of(error))
            return None
        self.counts.stored += 1
        entry.is_stored = True
        return request
