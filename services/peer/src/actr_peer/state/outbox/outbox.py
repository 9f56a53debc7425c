"""Durable calls at the caller: kept until answered, across its restarts (docs/mailbox.md).

What happens to a call is decided in :mod:`actr_peer.protocol.mailbox.outbox`. Each says its
callee's low-water mark, so that the callee forgets exactly what is no longer needed. Numbers count
under the store id of the run that gave them: a file that is restored from a copy gives the same
numbers once more, and nobody mistakes them for the first. A reply rides the next commit: if it is
lost, the call is sent again and answered from the callee's memory.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Self

from actr_peer.errors import CallError, ClosedError, Code, PeerError
from actr_peer.protocol.mailbox.finished import LOT
from actr_peer.protocol.mailbox.outbox.call import CallEvent, CallState, Step
from actr_peer.protocol.mailbox.outbox.calls import MAX_KEPT, Calls
from actr_peer.protocol.mailbox.outbox.owed import MAX_OPEN, MAX_WINDOW
from actr_peer.protocol.mailbox.requests import ROW_BYTES
from actr_peer.state.outbox.call import DurableCall, Encode, Saved
from actr_peer.state.outbox.store import Found, OutboxStore, kept_reply, sweep
from actr_peer.state.outbox.writes import WRITES, WriteCall, WriteMark, WriteReply, failure, tell
from actr_peer.state.storage.database import Connect, Durability, connect, real_path
from actr_peer.state.storage.operations import Operation, Task
from actr_peer.state.storage.pages import VITAL
from actr_peer.state.storage.state_file import StateFile, Tellers, tell_each, tell_task
from actr_peer.state.storage.witness import AfterLoss

BESIDE = "-outbox"
"""Behind the name of the mailbox's file in that of its outbox."""
MAX_BYTES = 64 * 1024 * 1024
"""Of the database file."""
OPEN_SHARE = 0.75
"""Of ``max_bytes`` may be calls without a reply."""
# Looking a member up in its enum takes longer than what is done with it.
_OPEN, _REPLIED, _TAKEN = CallState.OPEN, CallEvent.REPLIED, CallEvent.TAKEN
_REPLY_SAVED = CallEvent.REPLY_SAVED
_KEPT = "closed before the reply; the call is kept, and goes on at the next start"


class Outbox:
    """The outbox of one actor. Entering the block recovers, leaving it saves and closes.

    Its files come with the first durable call.

    Args:
        path: The database file, beside the mailbox's.
        max_open: Calls without a saved reply, to one remote.
        max_window: Calls to one remote from its low-water mark on.
        after_loss: ``refuse`` a file that has lost what was promised, or ``go-on`` with it.
        durability, on_trouble, owner: As the mailbox's.
        connect: How the database is opened; tests bring their own.

    Raises (on entering):
        ConfigError: If the file cannot be used.
        BusyError: If another process has it.
    """

    def __init__(
        self,
        path: str,
        *,
        max_open: int = MAX_OPEN,
        max_window: int = MAX_WINDOW,
        max_kept: int = MAX_KEPT,
        max_bytes: int = MAX_BYTES,
        durability: Durability = "power",
        after_loss: AfterLoss = "refuse",
        on_trouble: Callable[[Exception], None] | None = None,
        owner: str = "",
        connect: Connect = connect,
    ) -> None:
        self.path = real_path(str(path))
        self.store_id = secrets.randbits(63) | 1
        """Random, of this run: no other run's numbers, of a copy either, are taken for its own."""
        self.dropped = 0
        """Replies dropped for want of room, since the start."""
        self._store = OutboxStore(
            self.path,
            durability=durability,
            max_bytes=max_bytes,
            after_loss=after_loss,
            connect=connect,
        )
        self.state_file: StateFile[Found] = StateFile(
            self.path,
            self._store,
            durability,
            self._committed,
            on_trouble,
            owner=owner,
            empty=Found(),
        )
        self._calls: Calls[DurableCall, asyncio.Event] = Calls(
            max_open=max_open,
            max_window=max_window,
            max_kept=max_kept,
            max_bytes=int(max_bytes * OPEN_SHARE),
        )
        self._results: dict[str, asyncio.Future[bytes]] = {}
        """Replies that somebody waits for, by call key."""
        self.find: Callable[[str], DurableCall | None] = self._calls.find
        """The call of this id that has no reply."""
        self.low_water: Callable[[str], int] = self._calls.low_water
        self._doers = self._make_doers()
        self._tellers: Tellers = {**dict.fromkeys(WRITES, self._written), Task: tell_task}
        self._gone = 0
        """Rows that were needed no more, since the start: a lot of them is deleted at once."""

    def _make_doers(self) -> tuple[Callable[[DurableCall, Any], None], ...]:
        """What is done for a call, by step; the second is what was written for it, or not."""
        doers: dict[Step, Callable[[DurableCall, Any], None]] = {
            Step.TELL: tell,
            Step.ANSWER: self._answer,
            Step.FAIL: lambda call, write: self._fail(call.call_key, failure(call, write)),
            Step.KEEP: lambda call, _: self.state_file.ride(WriteReply(call)),
            Step.LET_GO: lambda call, _: self.state_file.ride(WriteMark(call)),
            Step.REPEAT: lambda _, write: self.state_file.keep(write),
            Step.FREE: self._free,
            Step.DELETE: self._delete,
        }
        return tuple(doers[step] for step in Step)

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        found = await self.state_file.open()
        self._calls.start(found.next_number)
        for call in found.calls:
            # An earlier call of the same key was being taken back as the process ended.
            self.forget(call.call_key)
            self._calls.restore(call, len(call.envelope) + ROW_BYTES)
            if call.state is CallState.KEPT and call.is_unwanted:
                self.forget(call.call_key)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for room in self._calls.seal():
            room.set()
        for key in list(self._results):
            self._fail(key, ClosedError(_KEPT))
        try:
            await self.state_file.close()
        finally:
            self._store.close_notes()

    def open_calls(self) -> list[DurableCall]:
        """Calls without a reply, in order of their numbers: a start sends them again."""
        return list(self._calls.unanswered())

    def completed(self) -> list[str]:
        """Call keys whose reply waits to be taken, oldest first."""
        return [call.call_key for call in self._calls.replied()]

    async def add(
        self, call: DurableCall, encode: Encode, saved: Saved = lambda error: None
    ) -> DurableCall:
        """Accept a call: wait for room, number it, commit it; returns when it is on disk.

        Cancelling takes it back, unless it is on disk by then. For ``saved`` see :meth:`put`.

        Raises:
            BusyError, ClosedError: As :meth:`put`.
            CallError: RESOURCE_EXHAUSTED if the disk has no room.
        """
        while self._calls.named(call.call_key) is None and not self.has_room(call):
            await self.room(call)
        future: asyncio.Future[None] = self.loop.create_future()

        def settle(error: CallError | None) -> None:
            try:
                saved(error)
            finally:
                if not future.done():
                    future.set_result(None) if error is None else future.set_exception(error)

        self.put(call, encode, settle)
        try:
            await future
        except asyncio.CancelledError:
            if call.state is CallState.STORING:
                self.forget(call.call_key)
            raise
        return call

    def put(self, call: DurableCall, encode: Encode, saved: Saved) -> None:
        """Accept a call where there is room: number it and commit it; send it once it is saved.

        Args:
            saved: Hears of the commit, in its turn, or why there was none; in order of the calls.

        Raises:
            BusyError: If there is a call of that key: take its :meth:`result`.
            ClosedError: If the outbox closes.
        """
        number = self._calls.next_number(call)
        call.envelope = encode(number, self.low_water(call.remote), self.store_id)
        call.saved = saved
        self._calls.put(call, len(call.envelope) + ROW_BYTES)
        self.state_file.write(WriteCall(call))

    async def room(self, call: DurableCall) -> None:
        """Wait until there may be room for ``call``: look again.

        Raises:
            ClosedError: If the outbox closes.
        """
        await self._calls.room(call.remote, asyncio.Event).wait()

    def has_room(self, call: DurableCall) -> bool:
        """Whether ``call`` may be put now."""
        return self._calls.has_room(call.remote, call.size + ROW_BYTES)

    def resolve(self, request_id: str, reply: bytes) -> bool:
        """A reply came: wake who waits for it, and keep it for who comes later.

        Returns:
            False if no open call has this id: it is another's reply, or a repeated one.
        """
        call = self._calls.find(request_id)
        if call is None or call.state is not _OPEN:
            return False
        call.reply, call.envelope = reply, b""
        future = self._results.get(call.call_key)
        # Nobody else can ask for a call that has no key of its own: the reply need not be kept.
        is_taken = future is not None and not future.done() and call.call_key == request_id
        for step in self._calls.on(call, _TAKEN if is_taken else _REPLIED):
            self._doers[step](call, None)
        if is_taken:
            return True
        for oldest in self._calls.too_many():
            self.dropped += 1
            self.forget(oldest.call_key)
        return True

    async def result(self, call_key: str) -> bytes:
        """The reply of a durable call, of this start or an earlier one; waits for it.

        It stays until :meth:`forget`. Cancelling loses nothing.

        Raises:
            ClosedError: If the outbox is closed; the call is kept.
            CallError: NOT_FOUND if no call of that key is kept.
        """
        if self._calls.is_sealed:
            raise ClosedError(_KEPT)
        call = self._calls.named(call_key)
        if call is None:
            raise CallError(Code.NOT_FOUND, f"no durable call with the key {call_key!r} is kept")
        if call.reply is not None:
            return call.reply
        if call.state is CallState.KEPT:
            number = call.number
            return await self.state_file.ask(lambda connection: kept_reply(connection, number))
        return await asyncio.shield(self.expect(call_key))  # others may wait for the same

    def expect(self, call_key: str) -> asyncio.Future[bytes]:
        """The reply to come of an open call; one future for all who ask."""
        future = self._results.get(call_key)
        if future is None:
            future = self._results[call_key] = self.loop.create_future()
        return future

    def forget(self, call_key: str) -> None:
        """The caller has the reply, or wants it no more; harmless if the key is unknown."""
        call = self._calls.named(call_key)
        if call is not None:
            for step in self._calls.on(call, CallEvent.FORGOTTEN):
                self._doers[step](call, None)

    def _free(self, call: DurableCall, write: object) -> None:
        for room in self._calls.free(call):
            room.set()

    def _delete(self, call: DurableCall, write: object) -> None:
        self._gone += 1
        if self._gone % LOT == 0:
            self.state_file.ride(Task(sweep, self.state_file.keep_if_failed, reserve=VITAL))

    def _answer(self, call: DurableCall, write: object) -> None:
        future = self._results.pop(call.call_key, None)
        if future is not None and not future.done():
            future.set_result(call.reply or b"")

    def _fail(self, call_key: str, error: PeerError) -> None:
        """Whoever waits for the reply waits in vain."""
        future = self._results.pop(call_key, None)
        if future is not None and not future.done():
            future.set_exception(error)
            future.exception()  # retrieved: its caller may have left

    def _committed(self, batch: list[Operation]) -> None:
        try:
            tell_each(batch, self._tellers, self._committed)
        finally:
            if self._store.witness is not None:
                self._store.witness.note(self._calls.promised)

    def _written(self, operation: WriteCall | WriteReply | WriteMark) -> None:
        call: DurableCall = operation.owner
        done, failed = operation.outcomes
        event = done if operation.error is None else failed
        for step in self._calls.on(call, event):
            self._doers[step](call, operation)
        if event is _REPLY_SAVED:
            call.reply = call.decoded = None
