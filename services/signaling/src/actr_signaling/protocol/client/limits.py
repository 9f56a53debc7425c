"""Sans-I/O: how much one connection may send, and the terms of a session."""

from __future__ import annotations

from dataclasses import dataclass


class Bucket:
    """A token bucket: ``rate`` per second on average, ``burst`` at once.

    It starts full and owns no clock.
    """

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._at = now

    def take(self, amount: float, now: float) -> bool:
        """Take ``amount``; False, and nothing taken, when there is less."""
        level = self._level + (now - self._at) * self._rate
        if level > self._burst:
            level = self._burst
        self._at = now
        if level < amount:
            self._level = level
            return False
        self._level = level - amount
        return True

    @property
    def is_full(self) -> bool:
        """As of the last :meth:`take`."""
        return self._level >= self._burst


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one session is held to; durations in seconds."""

    authenticate: float = 5.0
    """From the upgrade to a valid Authenticate."""
    enrol: float = 5.0
    """From Register to its confirmation by the store."""
    lease: float = 30.0
    """Without a heartbeat for this long a session ends with 4408."""
    heartbeat: float = 10.0
    greeting_frames: int = 16
    """Of any kind, before a valid Authenticate."""
    registers_per_second: float = 5.0
    registers_burst: float = 20.0
    """Registering again tells everybody who watches: more of it is refused."""
    max_watches: int = 128
    max_contacts: int = 256
    messages_per_second: float = 500.0
    messages_burst: float = 2_000.0  # a newcomer's offers and candidates for a hundred peers
    bytes_per_second: float = 1_048_576.0
    bytes_burst: float = 4_194_304.0
