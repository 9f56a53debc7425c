"""The pump: takes from the session what may go, hands it to the wires, and keeps the one timer.

A message sent while nothing else is under way is written at once; what else is sent in the same
turn of the loop is packed together at its end. A wire gets data only while it is not full, so
that an urgent message never waits behind more than one wire's buffer.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from math import inf

from actr_peer.errors import BrokenError
from actr_peer.protocol.session.session import Session
from actr_peer.wire.base import Wire

TURN_BYTES = 128 * 1024
"""Bytes handed over in one turn of the loop: then what has arrived meanwhile comes first."""


STUCK_BYTES = 1024 * 1024
"""A wire that holds so much gets not even pings: a far side that does not read cannot make
this one's memory grow, and fails its heartbeat."""


class Pump:
    """Owned by one link.

    Args:
        session: What to send.
        wires: The open wires by id; the owner keeps it up to date.
        on_time: Called when the time asked for with :meth:`arm` has come.
        failed: Hears of a failure on this side, and ends the link: most flushes are called by the
            loop, which would only log it.
    """

    __slots__ = (
        "_armed_at", "_failed", "_is_held", "_is_wanted", "_loop", "_on_time", "_session",
        "_timer", "_wires", "looks_at",
    )  # fmt: skip

    def __init__(
        self,
        session: Session,
        wires: dict[int, Wire],
        loop: AbstractEventLoop,
        *,
        on_time: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._session = session
        self._wires = wires
        self._loop = loop
        self._on_time = on_time
        self._failed = failed
        self.looks_at = inf
        """What :meth:`look_at` was told last."""
        self._timer: TimerHandle | None = None
        self._armed_at = inf
        self._is_held = False
        """A flush comes later in this turn: there is no need for one now."""
        self._is_wanted = False
        """Whether that one has anything to do."""

    def kick(self) -> None:
        """Something may go out: now if it is the first in this turn, else at its end."""
        if self._is_held:
            self._is_wanted = True
            return
        self._is_held = True
        self._loop.call_soon(self._end_turn)
        self.flush()

    def _end_turn(self) -> None:
        self._is_held = False
        if self._is_wanted:
            self.flush()

    def hold(self) -> bool:
        """Put off flushing until :meth:`release`; return what to give to it."""
        before, self._is_held = self._is_held, True
        return before

    def release(self, before: bool) -> None:  # noqa: FBT001  what `hold` returned
        """Undo one :meth:`hold`: flush, unless an outer one does so later.

        Answers to several wire messages of one turn do not wait for each other: together they
        cost a tenth less, and kept the far side idle for a sixth of its time.
        """
        self._is_held = before
        if not before:
            self.flush()

    def flush(self) -> None:
        """Hand over what the wires take; nothing is raised."""
        self._is_wanted = False
        try:
            self._flush()
        except Exception as exc:  # noqa: BLE001  decision 6
            self._failed(exc)

    def _flush(self) -> None:
        session = self._session
        now = self._loop.time()
        room = TURN_BYTES
        for wire in tuple(self._wires.values()):
            try:
                while not (is_full := wire.is_full) or wire.buffered_bytes < STUCK_BYTES:
                    item = session.take(
                        wire.id, now, is_full=is_full or room <= 0, size=wire.pack_bytes
                    )
                    if item is None:
                        break
                    room -= len(item[1])
                    wire.send(*item)
            except BrokenError:  # its owner hears of it from the wire itself
                session.close(wire.id)
        if room <= 0 and not self._is_held:
            self._is_held = True
            self._loop.call_soon(self._end_turn)
        self._is_wanted = self._is_wanted or room <= 0
        deadlines = session.deadlines
        if deadlines.is_eased:
            deadlines.is_eased = False
            self._put_off(deadlines.next)
        elif deadlines.next < self._armed_at:
            self.arm(deadlines.next)

    def arm(self, at: float) -> None:
        """Have the timer go off at ``at`` seconds or before."""
        if at >= self._armed_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_at = at
        self._timer = self._loop.call_at(max(at, 0.0), self._fire)

    def look_at(self, at: float) -> None:
        """Have the timer go off at ``at`` too, for what the session knows nothing of; inf: no
        more. It replaces what was said before."""
        self.looks_at = at
        self.arm(at)

    def _put_off(self, until: float) -> None:
        """Have the timer go off later: a wire is idle, and answers."""
        if self._armed_at != -inf:
            self._armed_at = inf
            self.arm(min(until, self.looks_at))

    def _fire(self) -> None:
        self._timer = None
        self._armed_at = inf
        self._on_time()

    def stop(self) -> None:
        """Let go of the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._armed_at = -inf  # nothing arms it again
