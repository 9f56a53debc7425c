"""Sans-I/O: who may wait at the listener without having proved who it is.

A place is taken from the accept on, and given back when the handshake is done or the socket gone:
what a stranger does not say costs as much as what it says. So that nobody takes all places::

    share      one address has at most a quarter of them (an IPv6 host has its whole /64)
    reserve    a quarter is for addresses from which somebody proved who it is before
    pressure   the more places are taken, the less time each has
    eviction   a newcomer takes the place of the oldest of the address that has most, once that
               one has had its fair time

Who comes when there is no place is turned away, and may come again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from ipaddress import IPv6Address, ip_address

PLACES = 128
SHARE = 32
RESERVE = 32
"""Places for addresses that are known."""
PATIENCE = 5.0
"""Seconds from the accept to the end of the handshake, while there is room."""
HURRY = 1.0
"""Seconds, while nearly all places are taken; and what each has in any case."""
MAX_KNOWN = 1024
_V6_HOST_BITS = 64


def origin(host: str) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Address(int(address) >> _V6_HOST_BITS << _V6_HOST_BITS))
    return str(address)


class Door:
    """The places of one listener. It owns no clock and no socket; ``now`` is monotonic seconds.

    Args:
        places: How many may wait at once.
        share: How many of one origin.
        reserve: How many places only known origins may take.
    """

    def __init__(self, *, places: int = PLACES, share: int = SHARE, reserve: int = RESERVE) -> None:
        self.turned_away = 0
        self._places = places
        self._share = share
        self._reserve = reserve
        self._waiting: OrderedDict[Hashable, tuple[str, float]] = OrderedDict()
        """Who waits, its origin and since when; oldest first."""
        self._of: dict[str, OrderedDict[Hashable, None]] = {}
        self._known: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def patience(self) -> float:
        """Seconds that each has, as full as it is now."""
        taken = len(self._waiting) / self._places
        if taken <= 0.5:
            return PATIENCE
        return max(HURRY, PATIENCE - (PATIENCE - HURRY) * (taken - 0.5) / 0.375)

    def admit(self, who: Hashable, host: str, now: float) -> tuple[bool, Hashable | None]:
        """Give ``who`` a place; say whether there is one, and whom to send away for it."""
        where = origin(host)
        of_it = self._of.get(where, OrderedDict())
        victim: Hashable | None = None
        room = self._places if where in self._known else self._places - self._reserve
        if len(of_it) >= self._share:
            victim = next(iter(of_it))
        elif len(self._waiting) >= room:
            largest = max(self._of, key=lambda other: len(self._of[other]))
            victim = next(iter(self._of[largest]))
        if victim is not None:
            if now - self._waiting[victim][1] < HURRY:
                self.turned_away += 1
                return False, None
            self.leave(victim)
        self._waiting[who] = where, now
        self._of.setdefault(where, OrderedDict())[who] = None
        return True, victim

    def leave(self, who: Hashable) -> None:
        """Give the place back; harmless when there is none."""
        where, _ = self._waiting.pop(who, ("", 0.0))
        of_it = self._of.get(where)
        if of_it is not None:
            of_it.pop(who, None)
            if not of_it:
                del self._of[where]

    def proved(self, who: Hashable) -> None:
        """Who waited has proved who it is: its origin is known from now on."""
        where, _ = self._waiting.get(who, ("", 0.0))
        self.leave(who)
        self._known[where] = None
        self._known.move_to_end(where)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def due(self) -> float | None:
        """When :meth:`expire` has something to do next; None: nobody waits."""
        for _, since in self._waiting.values():
            return since + self.patience
        return None

    def expire(self, now: float) -> list[Hashable]:
        """Return who has waited too long, and forget them."""
        late: list[Hashable] = []
        while (due := self.due()) is not None and due <= now:
            who = next(iter(self._waiting))
            self.leave(who)
            late.append(who)
        return late


class Sparing:
    """Lets one of many alike through, and counts what it leaves out.

    Args:
        every: Seconds between two that are let through.
    """

    def __init__(self, every: float = 10.0) -> None:
        self._every = every
        self._next = float("-inf")
        self._left_out = 0

    def take(self, now: float) -> int | None:
        """Return how many were left out since the last one; None: leave this one out, too."""
        if now < self._next:
            self._left_out += 1
            return None
        self._next = now + self._every
        left_out, self._left_out = self._left_out, 0
        return left_out
