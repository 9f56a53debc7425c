"""Sans-I/O: all durable calls of one outbox, by number, key and request id."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Generic, TypeVar

from actr_peer.errors import BusyError, ClosedError, LocalProtocolError
from actr_peer.protocol.mailbox.outbox.call import PLACES, ROWS, Call, CallEvent, Place, Steps
from actr_peer.protocol.mailbox.outbox.owed import (
    MAX_OPEN,
    MAX_OPEN_IN_ALL,
    MAX_WINDOW,
    Owed,
)

MAX_KEPT = 10_000
"""Replies that nobody has taken; the oldest are dropped for new ones, and counted."""
# Looking a member up in its enum takes longer than all that is done with it here.
_PUT, _STORED = CallEvent.PUT, CallEvent.STORED
_UNANSWERED, _REPLIED = Place.UNANSWERED, Place.REPLIED
_CLOSED = "the actor closes; the call was not accepted"

C = TypeVar("C", bound=Call)
Room = TypeVar("Room")
"""What those wait on who want to call one remote; the shell's."""


class Calls(Generic[C, Room]):
    """The calls of one outbox that are not done with.

    Args:
        max_open: Calls without a saved reply, to one remote.
        max_window: Calls to one remote from its low-water mark on.
        max_in_all: Calls without a saved reply, to all remotes.
        max_kept: Replies that nobody has taken.
        max_bytes: Of all calls without a saved reply.
    """

    def __init__(
        self,
        *,
        max_open: int = MAX_OPEN,
        max_window: int = MAX_WINDOW,
        max_in_all: int = MAX_OPEN_IN_ALL,
        max_kept: int = MAX_KEPT,
        max_bytes: int = 1 << 62,
    ) -> None:
        self._max_kept = max_kept
        self._owed = Owed(
            max_open=max_open, max_window=max_window, max_in_all=max_in_all, max_bytes=max_bytes
        )
        self.following = 1
        """The next number: no other call of this file has, or had, it."""
        self.promised = 0
        """The highest number that is on disk."""
        self.is_sealed = False
        self._named: dict[str, C] = {}
        """By call key."""
        self._unanswered: dict[str, C] = {}
        """By request id, in order of their numbers."""
        self.find: Callable[[str], C | None] = self._unanswered.get
        """The call of this id that has no reply."""
        self._replied: dict[int, C] = {}
        """By number, in order of their replies."""
        self._rooms: dict[str, Room] = {}
        """By remote, where somebody waits for room."""

    def start(self, next_number: int) -> None:
        """Go on behind what a start found."""
        self.following = next_number
        self.promised = next_number - 1

    def restore(self, call: C, size: int) -> None:
        """Take over what a start found, OPEN or KEPT, in order of the numbers.

        No other call of its key is there: an earlier one is forgotten before.
        """
        assert call.call_key not in self._named
        self._named[call.call_key] = call
        if PLACES[call.state] is _UNANSWERED:
            self._owed.add(call.remote, call.number, size, is_earlier=True)
            self._unanswered[call.request_id] = call
        else:
            self._replied[call.number] = call

    def next_number(self, call: C) -> int:
        """The number that ``call`` would get now.

        Raises:
            BusyError: If there is a call of that key.
            ClosedError: If the outbox is sealed.
        """
        if self.is_sealed:
            raise ClosedError(_CLOSED)
        if call.call_key in self._named:
            raise BusyError(f"a durable call with the key {call.call_key!r} is kept already")
        return self.following

    def put(self, call: C, size: int) -> None:
        """Give a call, of ``size`` bytes, its number; its row is to be written.

        There is room for it, and :meth:`next_number` has raised nothing.
        """
        self.on(call, _PUT)
        call.number = self.following
        self.following += 1
        self._owed.add(call.remote, call.number, size)

    def on(self, call: C, event: CallEvent) -> Steps:
        """Take an event; returns what is to be done.

        Raises:
            LocalProtocolError: If it cannot happen now; nothing is changed.
        """
        move = ROWS[event][call.state]
        if move is None:
            raise LocalProtocolError(f"{event.name} of a durable call that is {call.state.name}")
        call.state, steps, was_in, place = move
        if place is not was_in:
            if was_in is _UNANSWERED:
                del self._unanswered[call.request_id]
            elif was_in is _REPLIED:
                del self._replied[call.number]
            if place is _UNANSWERED:
                self._named[call.call_key] = self._unanswered[call.request_id] = call
            elif place is _REPLIED:
                self._replied[call.number] = call
            else:
                del self._named[call.call_key]
        elif event is _STORED and call.number > self.promised:
            self.promised = call.number
        return steps

    def too_many(self) -> Iterator[C]:
        """Replied calls that are to be forgotten for want of room, oldest reply first."""
        while len(self._replied) > self._max_kept:
            yield next(iter(self._replied.values()))

    # Room

    def has_room(self, remote: str, size: int) -> bool:
        """Whether another call, of ``size`` bytes, may be put now."""
        return self._owed.has_room(remote, size)

    def room(self, remote: str, make: Callable[[], Room]) -> Room:
        """What those wait on who want to call ``remote``; :meth:`free` or :meth:`seal` gives it.

        Raises:
            ClosedError: If the outbox is sealed.
        """
        if self.is_sealed:
            raise ClosedError(_CLOSED)
        room = self._rooms.get(remote)
        if room is None:
            room = self._rooms[remote] = make()
        return room

    def free(self, call: C) -> Collection[Room]:
        """The number of ``call`` is done with, on disk; returns who is to look for room again."""
        remote = self._owed.done(call.number)
        if not self._rooms or remote is None:
            return ()
        # What one gives back, all may share but those that are held up by themselves.
        told = [each for each in self._rooms if each == remote or not self._owed.is_full(each)]
        return [self._rooms.pop(each) for each in told]

    def seal(self) -> Collection[Room]:
        """Take no call any more; returns who waits for room in vain."""
        self.is_sealed = True
        return self._take_rooms()

    def _take_rooms(self) -> Collection[Room]:
        rooms, self._rooms = self._rooms, {}
        return rooms.values()

    # What there is

    def low_water(self, remote: str) -> int:
        """The smallest number of this run without a committed reply of ``remote``; the next one if
        all have theirs."""
        return self._owed.low_water(remote, self.following)

    def named(self, call_key: str) -> C | None:
        """The call of this key."""
        return self._named.get(call_key)

    def unanswered(self) -> Collection[C]:
        """Calls without a reply, in order of their numbers."""
        return self._unanswered.values()

    def replied(self) -> Collection[C]:
        """Calls whose reply nobody has taken, oldest reply first."""
        return self._replied.values()
