"""Sans-I/O: how much one connection may send, and the terms of a session."""

from __future__ import annotations

from dataclasses import dataclass

from actr_signaling.errors import Close, RefusedError, TooFastError


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
        if now == self._at and self._level >= amount:  # there is nothing to add
            self._level -= amount
            return True
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
    """Asked of clients."""
    heartbeats_per_second: float = 5.0
    heartbeats_burst: float = 20.0
    """Beyond what was asked for: a client may tell its load as it changes."""
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

    @property
    def heartbeat_rate(self) -> float:
        """Heartbeats a second of one session, on average: twice what was asked for at least."""
        return max(self.heartbeats_per_second, 2 / self.heartbeat)


class Rates:
    """What one connection has sent, held against its terms."""

    def __init__(self, terms: Terms, now: float) -> None:
        self._terms = terms
        self._messages = Bucket(terms.messages_per_second, terms.messages_burst, now)
        self._bytes = Bucket(terms.bytes_per_second, terms.bytes_burst, now)
        self._registers = Bucket(terms.registers_per_second, terms.registers_burst, now)
        self._heartbeats = Bucket(terms.heartbeat_rate, terms.heartbeats_burst, now)
        self._greeting_frames = terms.greeting_frames

    def admit(self, size: int, now: float, *, is_greeting: bool) -> None:
        """Count one frame of ``size`` bytes, of whatever kind.

        Args:
            is_greeting: Whether the proof is still due.

        Raises:
            TooFastError: If the connection sends more than its terms allow.
        """
        if is_greeting:
            self._greeting_frames -= 1
            if self._greeting_frames < 0:
                raise TooFastError(f"over {self._terms.greeting_frames} frames before the proof")
        if not self._messages.take(1, now):
            raise TooFastError(f"over {self._terms.messages_per_second:g} messages a second")
        if not self._bytes.take(size, now):
            raise TooFastError(f"over {self._terms.bytes_per_second:g} bytes a second")

    def count_register(self, now: float) -> None:
        """Count a registration, or another certificate: signatures are checked for each.

        Raises:
            RefusedError: If there are more than the terms allow.
        """
        if not self._registers.take(1, now):
            limit = self._terms.registers_per_second
            raise RefusedError(Close.TOO_FAST, f"over {limit:g} registrations a second")

    def count_heartbeat(self, now: float) -> None:
        """
        Raises:
            TooFastError: If there are more than the terms allow.
        """
        if not self._heartbeats.take(1, now):
            raise TooFastError(f"over {self._terms.heartbeat_rate:g} heartbeats a second")
