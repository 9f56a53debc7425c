"""Sans-I/O: how much bulk may be under way, so that what is urgent waits for little of it.

What was handed to a wire and has not arrived stands before an urgent message: in this side's
buffers, in the network's and in the far side's. So it has a bound, the sum of two::

    what the far side needs to stay busy      base of the wire, but no more than PATIENCE of it
    what the path holds                       twice the rate times the least round trip

The base is what a busy machine needs, where the far process runs now and then: with less, the rate
falls, with the rate the bound, and so on. Rate and round trip are measured as BBR does
(draft-ietf-ccwg-bbr): the highest of some time, and the least of some time, which is looked for
anew with half as much under way, for what is under way may be what makes it long.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from types import MappingProxyType

from actr_peer.protocol.payload import WireKind

FRAME_COST = 512
"""Bytes that a frame counts beside its payload: small ones take time, not bytes."""
BASES: Mapping[WireKind, int] = MappingProxyType(
    {
        WireKind.WEBSOCKET: 512 * 1024,
        WireKind.WEBRTC: 128 * 1024,
        WireKind.RELAYED: 128 * 1024,
    }
)
"""Bytes that a busy process takes in one to ten milliseconds: of WebRTC far fewer than of TCP."""
LEAST_BYTES = 96 * 1024
"""May always be under way: the far side says at once of about 64 KiB that they have come."""
MOST_BYTES = 8 * 1024 * 1024
"""Beyond the window of any lane."""
PATIENCE = 0.05
"""Seconds that the base may take at the rate measured."""
GRAIN = 0.001
"""Seconds by which a clock may be wrong: event loops count whole milliseconds."""
STRETCH = 0.01
"""Seconds over which a rate is measured, at least."""
RATE_KEPT = 1.0
"""Seconds that the highest rate is believed, and twice that at most."""
ROUND_TRIP_KEPT = 10.0
"""Seconds that the least round trip is believed, and twice that at most."""


class Flight:
    """What one wire measures, and the bound that follows.

    It owns no clock: instants are in seconds, and ``now`` does not go back. Whatever it is told,
    :attr:`limit` is between :data:`LEAST_BYTES` and :data:`MOST_BYTES`.
    """

    __slots__ = (
        "_arrived", "_base", "_least", "_least_at", "_least_before", "_rate", "_rate_at",
        "_rate_before", "_since", "_spare_until", "limit", "was_held",
    )  # fmt: skip

    def __init__(self) -> None:
        self.begin(MOST_BYTES)

    def begin(self, base: int) -> None:
        """A wire with this base carries it from now on: nothing of it is known."""
        self._base = base
        self.limit = self._base
        """Bytes of one lane that may be under way, with :data:`FRAME_COST` for each frame."""
        self.was_held = False
        """Something has waited for the limit; who waits sets it. A rate is the path's then, and
        not that at which something is sent."""
        self._arrived = 0
        self._since = inf
        """When the stretch began in which so much has arrived; inf: none has begun."""
        self._rate = self._rate_before = 0.0
        self._rate_at = inf
        """When the highest rate becomes that of the time before."""
        self._least = self._least_before = inf
        self._least_at = inf
        self._spare_until = -inf
        """Until when the round trip is looked for with less under way."""

    def __repr__(self) -> str:
        return f"<Flight: {self.limit} bytes at {self.rate:.0f}/s, {self.least} s>"

    @property
    def rate(self) -> float:
        """Highest of late, bytes a second; 0 before the first."""
        return max(self._rate, self._rate_before)

    @property
    def least(self) -> float:
        """Least round trip of late, seconds; inf before the first."""
        return min(self._least, self._least_before)

    def round_trip(self, seconds: float, now: float) -> None:
        """One was measured."""
        if now >= self._least_at:
            if self._least > self._least_before:
                self._spare_until = now + 2 * max(self._least, STRETCH)
            self._least_before, self._least = self._least, inf
            self._least_at = inf
        if self._least_at == inf:
            self._least_at = now + ROUND_TRIP_KEPT
        if seconds < self._least:
            self._least = seconds

    def arrived(self, size: int, now: float) -> None:
        """So many bytes have arrived, with :data:`FRAME_COST` for each frame."""
        if self._since == inf:  # what came before is not known, so neither is this one's rate
            self._since = now
            return
        self._arrived += size
        took = now - self._since
        if took < STRETCH:
            return
        self._rate = max(self._rate, self._arrived / took)
        if now >= self._rate_at and self.was_held:
            self._rate_before, self._rate = self._rate, self._arrived / took
            self._rate_at = inf
        if self._rate_at == inf:
            self._rate_at = now + RATE_KEPT
        self._since = now
        self._arrived = 0
        self.was_held = False
        self._bound(now)

    def _bound(self, now: float) -> None:
        rate, least = self.rate, self.least
        limit = min(float(self._base), rate * PATIENCE)
        if GRAIN < least < inf:
            limit += 2 * rate * (least - GRAIN)
        if now < self._spare_until:
            limit /= 2
        self.limit = int(min(max(limit, LEAST_BYTES), MOST_BYTES))
