"""Sans-I/O: when a session next needs time: each reason has a name, and one place in a table.

A reason that concerns several wires or lanes has the earliest instant of all of them here; whoever
takes it looks at each, and says when it is needed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from math import inf

LONG = 0.1
"""Seconds by which a deadline moves, to be worth setting a timer anew."""


class Deadline(IntEnum):
    """Why a session must be woken, in the order in which those that have come are taken: what is
    learnt of a wire says which frames are overdue."""

    HELLO = 0
    """On a wire where the far side was not heard yet: greet again, or call it failed."""
    HEARTBEAT = 1
    """A wire that the far side has greeted is to be pinged."""
    ACK = 2
    """Word of what has come has waited long enough to go out with something else."""
    RETRANSMIT = 3
    """Frames may be overdue or have another way now, or the far side must be asked for word."""
    EXPIRY = 4
    """Latency-first messages, whole ones here or unfinished ones of the far side, are too old."""


_NAMES = tuple(Deadline)


class Deadlines:
    """An instant in seconds for each name, or inf: nothing is waited for.

    Attributes:
        at: By name; to be read only.
        next: The least of all; inf if nothing is set.
        is_eased: Whether it has moved to a much later instant, of which who keeps a timer takes
            note; the rest is not worth it.
    """

    __slots__ = ("at", "is_eased", "next")

    def __init__(self) -> None:
        self.at = [inf] * len(Deadline)
        self.next = inf
        self.is_eased = False

    def set(self, name: Deadline, at: float) -> None:
        """Wait until ``at``, and no longer until what was set before; -inf: it has come."""
        before = self.at[name]
        self.at[name] = at
        if at <= self.next:
            self.next = at
        elif before == self.next:
            self.next = min(self.at)

    def hasten(self, name: Deadline, at: float) -> None:
        """Wait until ``at`` at latest: what is set for an earlier instant stays."""
        if at < self.at[name]:
            self.at[name] = at
            if at < self.next:
                self.next = at

    def put_off(self, name: Deadline, at: float) -> None:
        """As :meth:`set`; if that is long after what was set before, :attr:`is_eased`."""
        self.is_eased = self.is_eased or at > self.at[name] + LONG
        self.set(name, at)

    def clear(self, name: Deadline) -> None:
        """Wait for it no more; harmless if nothing is set."""
        self.set(name, inf)

    def take(self, now: float) -> Iterator[Deadline]:
        """The names whose instant has come, in order; each is cleared before it is given.

        What is set meanwhile for a name further on, and has come, is given too.
        """
        for name in _NAMES:
            if self.at[name] <= now:
                self.clear(name)
                yield name
