"""Sans-I/O: the wires that this service relays: who may open one, and which two sockets are joined.

::

    OPENED ──first socket──▶ WAITING ──second──▶ JOINED ──either has gone──▶ gone
       └──────── time is over ─────┴──────────────────────────────────────────▲

An actor asks for a wire, with a ticket of 128 random bits that it has made; signaling tells the
other actor, and whoever shows the ticket is one of the two ends: each side comes once, a third is
turned away. Who the ends are, they prove to each other, in what goes through here sealed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

TICKET_CHARACTERS = 32
TICKET = re.compile(rf"[0-9a-f]{{{TICKET_CHARACTERS}}}")
WAIT = 5.0
"""Seconds from the ask until both sides must have come, and for a socket to show its ticket."""
IDLE = 60.0
"""Seconds without a byte in either direction after which a wire is over: its ends ping each 3 s."""
PER_ACTOR = 32
"""Wires that one actor has asked for."""
PER_ADDRESS = 256
"""Sockets of wires that come from one address."""
GREETING_FRAMES = 16
"""Frames of one socket until it has shown its ticket, which is due as the first of them."""
FRAME_COST = 256
"""Bytes that a frame counts for besides those in it: an empty one is work, too."""


def read_ticket(data: bytes) -> str:
    """What a socket has shown; empty: it is no ticket."""
    text = data.decode("latin-1") if len(data) == TICKET_CHARACTERS else ""
    return text if TICKET.fullmatch(text) else ""


class Refused(StrEnum):
    """Why there is no wire, as it is counted."""

    OFF = "off"
    FULL = "too many"
    ACTOR = "too many of one actor"
    ADDRESS = "too many of one address"
    ELSEWHERE = "another replica"
    TAKEN = "ticket in use"
    UNKNOWN = "unknown ticket"
    ALONE = "nobody came"


@dataclass(slots=True, eq=False)
class Wire:
    """One that was asked for."""

    ticket: str
    dialler: str
    until: float
    """When it is over unless both ends have come."""
    ends: list[object] = field(default_factory=list)

    @property
    def is_joined(self) -> bool:
        return len(self.ends) == 2

    def other(self, end: object) -> object | None:
        """Whom ``end`` is joined with; None: nobody has come."""
        return next((one for one in self.ends if one is not end), None)


class Wires:
    """All of one replica. It owns no clock: ``now`` is monotonic seconds.

    Args:
        most: At a time; 0: none.

    Attributes:
        refused: How often there was none, by the cause.
    """

    def __init__(self, most: int) -> None:
        self.refused: Counter[Refused] = Counter()
        self.opened = 0
        """How many were joined so far."""
        self._most = most
        self._wires: dict[str, Wire] = {}
        """By ticket."""
        self._waiting: dict[str, Wire] = {}
        """Those of them that are not joined, oldest first."""
        self._by_actor: Counter[str] = Counter()
        self._by_address: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many there are, also those that wait."""
        return len(self._wires)

    def open(self, ticket: str, dialler: str, now: float) -> Refused | None:
        """Take an ask; None: its two ends may come.

        Args:
            dialler: Text of the id of who asks.
        """
        if not self._most:
            return self.count(Refused.OFF)
        if ticket in self._wires:
            return self.count(Refused.TAKEN)
        if len(self._wires) >= self._most:
            return self.count(Refused.FULL)
        if self._by_actor[dialler] >= PER_ACTOR:
            return self.count(Refused.ACTOR)
        self._wires[ticket] = self._waiting[ticket] = Wire(ticket, dialler, now + WAIT)
        self._by_actor[dialler] += 1
        return None

    def withdraw(self, ticket: str) -> None:
        """An ask that was taken reaches nobody: it is as if it had not been."""
        self.drop(self._wires[ticket])

    def enter(self, address: str) -> Refused | None:
        """Count a socket in; None: it may stay, and :meth:`leave` must follow."""
        if not self._most:
            return self.count(Refused.OFF)
        if self._by_address[address] >= PER_ADDRESS:
            return self.count(Refused.ADDRESS)
        self._by_address[address] += 1
        return None

    def leave(self, address: str) -> None:
        """A socket that was counted in is gone."""
        _subtract(self._by_address, address)

    def join(self, ticket: str, end: object) -> Wire | Refused:
        """A socket shows a ticket: its wire, joined or still to be."""
        wire = self._wires.get(ticket)
        if wire is None:
            return self.count(Refused.UNKNOWN)
        if wire.is_joined:
            return self.count(Refused.TAKEN)
        wire.ends.append(end)
        if wire.is_joined:
            del self._waiting[ticket]
            self.opened += 1
        return wire

    def drop(self, wire: Wire) -> None:
        """It is over; harmless when called again."""
        if self._wires.get(wire.ticket) is wire:
            del self._wires[wire.ticket]
            self._waiting.pop(wire.ticket, None)
            _subtract(self._by_actor, wire.dialler)

    def expire(self, now: float) -> list[Wire]:
        """Drop those whose second end has not come in time."""
        late = []
        for wire in self._waiting.values():
            if wire.until > now:
                break
            late.append(wire)
        for wire in late:
            self.count(Refused.ALONE)
            self.drop(wire)
        return late

    def due(self) -> float | None:
        """When :meth:`expire` next has something to say; None: nobody waits."""
        return next((wire.until for wire in self._waiting.values()), None)

    def count(self, why: Refused) -> Refused:
        self.refused[why] += 1
        return why


class Pace:
    """How fast one socket may be read: ``rate`` bytes a second, with one second's worth at once,
    and each frame costs something, whatever is in it. What has come is taken whatever it is; then
    nothing is read for a while."""

    __slots__ = ("_at", "_level", "_rate")

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._level, self._at = rate, rate, now

    def spend(self, size: int, now: float) -> float:
        """Count a frame of ``size`` bytes; return the seconds in which none is to be read."""
        level = min(self._rate, self._level + (now - self._at) * self._rate)
        self._at, self._level = now, level - size - FRAME_COST
        return max(0.0, -self._level / self._rate)


def _subtract(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
