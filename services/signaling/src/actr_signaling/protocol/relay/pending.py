"""Sans-I/O: relays on their way to another replica, each confirmed or given up in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from actr_signaling.protocol.identity import ActrId

MAX_PENDING = 65_536


class Pending(NamedTuple):  # there are many
    """One relay that waits for its receipt."""

    session: str
    reply_to: int
    to: ActrId
    replica: str
    deadline: float


class PendingRelays:
    """Relays by number, oldest first; every one is taken exactly once.

    Args:
        wait: Seconds a receipt may take.
    """

    def __init__(self, wait: float) -> None:
        self._wait = wait
        self._next = 1
        self._pending: dict[int, Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def is_full(self) -> bool:
        return len(self._pending) >= MAX_PENDING

    @property
    def deadline(self) -> float | None:
        """Of the oldest one; None: nothing waits."""
        for pending in self._pending.values():
            return pending.deadline
        return None

    def add(self, session: str, reply_to: int, to: ActrId, replica: str, now: float) -> int:
        """Note a relay that goes out now; returns its number, rising from 1."""
        number = self._next
        self._next += 1
        self._pending[number] = Pending(session, reply_to, to, replica, now + self._wait)
        return number

    def take(self, number: int) -> Pending | None:
        """The relay of a receipt; None: it was given up, or is nobody's."""
        return self._pending.pop(number, None)

    def expire(self, now: float) -> Iterator[Pending]:
        """Give up those that waited too long, oldest first."""
        while self._pending:
            number, pending = next(iter(self._pending.items()))
            if pending.deadline > now:
                return
            del self._pending[number]
            yield pending

    def give_up(self) -> Iterator[Pending]:
        """Give up all: the way to other replicas is gone."""
        pending, self._pending = self._pending, {}
        yield from pending.values()
