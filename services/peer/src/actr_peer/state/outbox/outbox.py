"""Durable calls at the caller: kept until answered, across its restarts (docs/mailbox.md).

A call is committed before it is sent, under a number that counts within this file; its reply is
kept until the caller has taken it. Every call says its callee's low-water mark, the smallest number
without a committed reply, so that the callee forgets exactly what is no longer needed. Numbers
count under the store id of the run that gave them: a file that is restored from a copy gives the
same numbers once more, and nobody mistakes them for the first. A reply rides the next commit: if it
is lost, the call is sent again and answered from the callee's memory.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Self

from actr_peer.errors import BusyError, CallError, ClosedError, Code, PeerError
from actr_peer.protocol.mailbox.finished import LOT
from actr_peer.protocol.mailbox.owed import MAX_OPEN, MAX_WINDOW, Owed
from actr_peer.protocol.mailbox.requests import ROW_BYTES
from actr_peer.state.outbox.call import Encode, OpenCall, Saved
from actr_peer.state.outbox.store import (
    Found,
    Kept,
    OutboxStore,
    done_row,
    gone_row,
    kept_reply,
    open_call,
    open_row,
    sweep,
)
from actr_peer.state.storage.database import Connect, Durability, connect, is_full, real_path
from actr_peer.state.storage.operations import Finish, Insert, Operation, Task
from actr_peer.state.storage.pages import VITAL
from actr_peer.state.storage.state_file import StateFile
from actr_peer.state.storage.witness import AfterLoss

MAX_KEPT = 10_000
"""Replies that nobody has taken; the oldest are dropped for new ones, and counted."""
MAX_BYTES = 64 * 1024 * 1024
"""Of the database file."""
OPEN_SHARE = 0.75
"""Of ``max_bytes`` may be calls without a reply."""
RETRY_AFTER = 1.0
"""Seconds that a caller is asked to wait when the disk is full."""
_CLOSED = "the actor closes; the call was not accepted"
_KEPT = "closed before the reply; the call is kept, and goes on at the next start"


class Outbox:
    """The outbox of one actor. Entering the block recovers, leaving it saves and closes.

    Args:
        path: The database file, beside the mailbox's.
        max_open: Calls without a saved reply, to one remote.
        max_window: Calls to one remote from its low-water mark on.
        after_loss: ``refuse`` a file that has lost what was promised, or ``go-on`` with it.
        durability, on_trouble: As the mailbox's.
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
        connect: Connect = connect,
    ) -> None:
        self.path = real_path(str(path))
        self.store_id = secrets.randbits(63) | 1
        """Random, of this run: what another run of this file, or of an older copy of it, has
        numbered cannot be mistaken for its own."""
        self.dropped = 0
        """Replies dropped for want of room, since the start."""
        self._max_kept = max_kept
        self._store = OutboxStore(
            self.path,
            durability=durability,
            max_bytes=max_bytes,
            after_loss=after_loss,
            connect=connect,
        )
        self.state_file: StateFile[Found] = StateFile(
            self.path, self._store, durability, self._committed, on_trouble
        )
        self._next = 1
        self._promised = 0
        """The highest number that is on disk."""
        self._owed = Owed(
            max_open=max_open, max_window=max_window, max_bytes=int(max_bytes * OPEN_SHARE)
        )
        self._open: dict[str, OpenCall] = {}
        """By request id, in order."""
        self._keys: dict[str, OpenCall | Kept] = {}
        """By call key: without and with a reply."""
        self._kept: OrderedDict[int, Kept] = OrderedDict()
        self._results: dict[str, asyncio.Future[bytes]] = {}
        self._gone = 0
        """Rows that are to be deleted, about."""
        self._rooms: dict[str, asyncio.Event] = {}
        """Set when there may be room for another call; by remote, where somebody waits."""
        self._is_closed = False

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        found = await self.state_file.open()
        self._next = found.next_number
        self._promised = found.next_number - 1
        calls: list[OpenCall | Kept] = [*map(open_call, found.open), *found.kept]
        for one in sorted(calls, key=lambda call: call.number):
            # An earlier call of the same key was being taken back as the process ended.
            self.forget(one.call_key)
            if isinstance(one, OpenCall):
                self._remember(one, is_earlier=True)
            elif one.is_unwanted:
                self._let_go(one.number)
            else:
                self._kept[one.number] = self._keys[one.call_key] = one
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._is_closed = True
        self._tell_all_of_room()
        for key in list(self._results):
            self._fail(key, ClosedError(_KEPT))
        try:
            await self.state_file.close()
        finally:
            self._store.close_notes()

    def low_water(self, remote: str) -> int:
        """The smallest number of this run without a committed reply of ``remote``; the next one if
        all have theirs."""
        return self._owed.low_water(remote, self._next)

    def open_calls(self) -> list[OpenCall]:
        """Calls without a reply, in order of their numbers: a start sends them again."""
        return list(self._open.values())

    def completed(self) -> list[str]:
        """Call keys whose reply waits to be taken, oldest first."""
        return [kept.call_key for kept in self._kept.values()]

    def find(self, request_id: str) -> OpenCall | None:
        """The open call of this id."""
        return self._open.get(request_id)

    async def add(
        self, call: OpenCall, encode: Encode, saved: Saved = lambda error: None
    ) -> OpenCall:
        """Accept a call: wait for room, number it, commit it; returns when it is on disk.

        Cancelling takes it back, unless it is on disk by then.

        Args:
            saved: Called in the turn of the commit, before calls that were committed with it.

        Raises:
            BusyError: If there is a call of that key: take its :meth:`result`.
            CallError: RESOURCE_EXHAUSTED if the disk has no room.
            ClosedError: If the outbox closes.
        """
        while call.call_key not in self._keys and not self.has_room(call):
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
            if not call.is_saved and self._keys.get(call.call_key) is call:
                self.forget(call.call_key)
            raise
        return call

    def put(self, call: OpenCall, encode: Encode, saved: Saved) -> None:
        """Accept a call where there is room: number it and commit it; send it once it is saved.

        Args:
            saved: Hears of the commit, or why there was none; calls are told in their order.

        Raises:
            BusyError: If there is a call of that key: take its :meth:`result`.
            ClosedError: If the outbox closes.
        """
        if self._is_closed:
            raise ClosedError(_CLOSED)
        if call.call_key in self._keys:
            raise BusyError(f"a durable call with the key {call.call_key!r} is kept already")
        call.number = self._next
        call.envelope = encode(call.number, self.low_water(call.remote), self.store_id)
        self._next += 1
        self._remember(call)
        self.state_file.write(Insert((call, saved), open_row(call), len(call.envelope) + ROW_BYTES))

    async def room(self, call: OpenCall) -> None:
        """Wait until there may be room for ``call``: look again.

        Raises:
            ClosedError: If the outbox closes.
        """
        if not self._is_closed:
            await self._rooms.setdefault(call.remote, asyncio.Event()).wait()
        if self._is_closed:
            raise ClosedError(_CLOSED)

    def has_room(self, call: OpenCall) -> bool:
        """Whether ``call`` may be put now."""
        return self._owed.has_room(call.remote, call.size + ROW_BYTES)

    def _tell_all_of_room(self) -> None:
        rooms, self._rooms = self._rooms, {}
        for room in rooms.values():
            room.set()

    def _remember(self, call: OpenCall, *, is_earlier: bool = False) -> None:
        size = len(call.envelope) + ROW_BYTES
        self._owed.add(call.remote, call.number, size, is_earlier=is_earlier)
        self._open[call.request_id] = call
        self._keys[call.call_key] = call

    def resolve(self, request_id: str, reply: bytes) -> bool:
        """A reply came: wake who waits for it, and keep it for who comes later.

        Returns:
            False if no open call has this id: it is another's reply, or a repeated one.
        """
        call = self._open.pop(request_id, None)
        if call is None:
            return False
        future = self._results.pop(call.call_key, None)
        if future is not None and not future.done() and call.call_key == call.request_id:
            # Nobody else can ask for a call that has no key of its own: the reply need not be kept.
            future.set_result(reply)
            del self._keys[call.call_key]
            self._let_go(call.number)
            return True
        kept = Kept(call.number, call.call_key)
        kept.reply = reply
        self._keys[call.call_key] = kept
        self._kept[call.number] = kept
        self.state_file.ride(Finish(kept, done_row(call.number, reply), len(reply) + ROW_BYTES))
        if future is not None and not future.done():
            future.set_result(reply)
        while len(self._kept) > self._max_kept:
            _, oldest = self._kept.popitem(last=False)
            self.dropped += 1
            if self._keys.get(oldest.call_key) is oldest:
                del self._keys[oldest.call_key]
            self._let_go(oldest.number)
        return True

    async def result(self, call_key: str) -> bytes:
        """The reply of a durable call, of this start or an earlier one; waits for it.

        It stays until :meth:`forget`. Cancelling loses nothing.

        Raises:
            ClosedError: If the outbox is closed; the call is kept.
            CallError: NOT_FOUND if no call of that key is kept.
        """
        if self._is_closed:
            raise ClosedError(_KEPT)
        known = self._keys.get(call_key)
        if known is None:
            raise CallError(Code.NOT_FOUND, f"no durable call with the key {call_key!r} is kept")
        if isinstance(known, Kept):
            if known.reply is not None:
                return known.reply
            number = known.number
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
        known = self._keys.pop(call_key, None)
        if known is None:
            return
        self._fail(call_key, CallError(Code.NOT_FOUND, f"{call_key!r} has been forgotten"))
        if isinstance(known, OpenCall):
            self._open.pop(known.request_id, None)
            if not known.is_saved:
                return  # _inserted sees to it
        else:
            self._kept.pop(known.number, None)
        self._let_go(known.number)

    def _fail(self, call_key: str, error: PeerError) -> None:
        """Whoever waits for the reply waits in vain."""
        future = self._results.pop(call_key, None)
        if future is not None and not future.done():
            future.set_exception(error)
            future.exception()  # retrieved: its caller may have left

    def _let_go(self, number: int) -> None:
        """The row of a call is needed no more: marked with the next commit, deleted with others."""
        self.state_file.ride(Finish(number, gone_row(number), ROW_BYTES))

    def _note_gone(self, number: int) -> None:
        self._advance(number)
        self._gone += 1
        if self._gone == LOT:
            self._gone = 0
            self.state_file.ride(Task(sweep, self.state_file.keep_if_failed, reserve=VITAL))

    def _advance(self, number: int) -> None:
        """A number is done with, on disk."""
        remote = self._owed.done(number)
        if not self._rooms or remote is None:
            return
        if self._owed.is_tight:  # what one gives back, all may share
            self._tell_all_of_room()
        elif (room := self._rooms.pop(remote, None)) is not None:
            room.set()

    def _committed(self, batch: list[Operation]) -> None:
        operations = iter(batch)
        try:
            for operation in operations:
                if isinstance(operation, Insert):
                    self._inserted(operation)
                elif isinstance(operation, Finish):
                    self._finished(operation)
                elif isinstance(operation, Task):
                    operation.done(operation)
        except BaseException:
            # A callback's bug goes to the loop's handler; the others still hear of theirs.
            if rest := list(operations):
                self.loop.call_soon(self._committed, rest)
            raise
        finally:
            if self._store.witness is not None:
                self._store.witness.note(self._promised)

    def _finished(self, operation: Finish) -> None:
        owner: Kept | int = operation.owner
        if isinstance(owner, int):
            if operation.error is None:
                self._note_gone(owner)
            else:
                self.state_file.keep(operation)
        elif operation.error is None:
            owner.reply = None
            self._advance(owner.number)
        elif self._keys.get(owner.call_key) is owner:
            self.state_file.keep(operation)

    def _inserted(self, operation: Insert) -> None:
        call: OpenCall
        saved: Saved
        call, saved = operation.owner
        if operation.error is None:
            call.is_saved = True
            self._promised = max(self._promised, call.number)
            if call.request_id not in self._open:  # forgotten meanwhile
                self._let_go(call.number)
            saved(None)
            return
        error = CallError(
            Code.RESOURCE_EXHAUSTED if is_full(operation.error) else Code.UNAVAILABLE,
            f"the outbox cannot store a durable call: {operation.error}",
            retryable=True,
            retry_after=RETRY_AFTER,
        )
        self._open.pop(call.request_id, None)
        if self._keys.get(call.call_key) is call:  # else it was forgotten, and the key used again
            del self._keys[call.call_key]
            self._fail(call.call_key, error)
        self._advance(call.number)
        saved(error)
