"""Sans-I/O: which packets of a track are missing, by their 16-bit sequence numbers, which wrap."""

from __future__ import annotations

SEQUENCES = 1 << 16

REQUEST_INTERVAL = 0.02
"""Seconds between two requests for the same packet."""
MAX_REQUESTS = 20
"""How often a lost packet is asked for."""
MAX_REQUESTED = 64
"""Packets asked for at a time: those that come at once must not overrun the socket again."""
MAX_MISSING = 1024
"""Packets that are asked for at a time; a larger hole is not worth filling."""


class Missing:
    """Which packets to ask for again (NACK, RFC 4585, 6.2.1): what lies between those seen.

    It owns no clock: the caller passes ``now``, and calls :meth:`due` while there are any.
    """

    def __init__(self) -> None:
        self._newest: int | None = None
        # How often each was asked for, and when to ask next; oldest first.
        self._missing: dict[int, tuple[int, float]] = {}

    def __len__(self) -> int:
        return len(self._missing)

    def add(self, sequence: int, *, now: float) -> bool:
        """Take one sequence number; True if it shows that others are missing."""
        if self._newest is None:
            self._newest = sequence
            return False
        distance = ahead(self._newest, sequence)
        if distance >= SEQUENCES // 2 or distance == 0:
            self._missing.pop(sequence, None)
            return False
        if distance > MAX_MISSING:
            self._missing.clear()
        else:
            for step in range(1, distance):
                self._missing[(self._newest + step) % SEQUENCES] = (0, now)
        self._newest = sequence
        while len(self._missing) > MAX_MISSING:
            del self._missing[next(iter(self._missing))]
        return distance > 1

    def due(self, *, now: float) -> list[int]:
        """Those to ask for now, oldest first; each is asked for ``MAX_REQUESTS`` times at most."""
        due: list[int] = []
        for sequence, (asked, at) in list(self._missing.items()):
            if at > now:
                continue
            if asked >= MAX_REQUESTS:
                del self._missing[sequence]
                continue
            self._missing[sequence] = (asked + 1, now + REQUEST_INTERVAL)
            due.append(sequence)
            if len(due) == MAX_REQUESTED:
                break
        return due


def ahead(of: int, sequence: int) -> int:
    """How many numbers ``sequence`` lies after ``of``, modulo 2¹⁶; from 2¹⁵ on it lies before."""
    return (sequence - of) % SEQUENCES
