"""Sans-I/O: which finished requests are remembered, and for how long (spec 3.4, 8).

A call that is not durable is remembered for a time, a durable one exactly until its caller's
low-water mark passes it. Both are bounded in number and bytes.
"""

from __future__ import annotations

from collections import OrderedDict

from actr_peer.protocol.mailbox import MAX_HORIZONS, MAX_REMEMBERED, REMEMBER

Caller = tuple[str, int]
"""Sender and store id: an outbox."""


class Finished:
    """One finished request.

    Attributes:
        caller: The outbox it came from, for a durable call; else None.
        number: Its call number there.
        reply: Until it is saved; after that it is read back from the table.
        size: Bytes of the reply; 0 if there is none.
        until: Monotonic instant after which it is forgotten, if not durable.
    """

    __slots__ = ("caller", "key", "number", "reply", "sequence", "size", "until")

    def __init__(
        self,
        key: tuple[str, str],
        sequence: int,
        *,
        size: int,
        reply: bytes | None = None,
        caller: Caller | None = None,
        number: int = 0,
    ) -> None:
        self.key = key
        self.sequence = sequence
        self.size = size
        self.reply = reply
        self.caller = caller
        self.number = number
        self.until = 0.0

    def __repr__(self) -> str:
        return f"Finished({self.key[0]} {self.key[1]} #{self.sequence})"


class Remembered:
    """The finished requests, oldest first; methods return those that are to be forgotten.

    Args:
        seconds: How long a call that is not durable stays.
        max_count: Of each of the two sorts.
        max_bytes: Of replies, over calls that are not durable; durable ones are bounded by
            their callers' outboxes, and by ``max_count``.
    """

    def __init__(
        self,
        *,
        seconds: float = REMEMBER,
        max_count: int = MAX_REMEMBERED,
        max_bytes: int = 1 << 62,
    ) -> None:
        self._seconds = seconds
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._timed: OrderedDict[int, Finished] = OrderedDict()
        self._bytes = 0
        self._durable: dict[Caller, dict[int, Finished]] = {}
        self._durable_count = 0
        self._low: OrderedDict[Caller, int] = OrderedDict()
        self.evicted: list[Caller] = []
        """Whose mark was forgotten for another's; for the shell to take away."""

    def add(self, finished: Finished, now: float) -> list[Finished]:
        """Remember one more; returns what leaves for it, oldest first."""
        caller = finished.caller
        if caller is not None:
            if finished.number < self._low.get(caller, 0):
                return [finished]
            self._durable.setdefault(caller, {})[finished.number] = finished
            self._durable_count += 1
            return []
        finished.until = now + self._seconds
        timed = self._timed
        timed[finished.sequence] = finished
        self._bytes += finished.size
        leaving: list[Finished] = []
        while True:
            oldest = next(iter(timed.values()))
            is_over = len(timed) > self._max_count or self._bytes > self._max_bytes
            # However long its reply, the newest stays: it must not run twice.
            if (not is_over and oldest.until > now) or oldest is finished:
                return leaving
            del timed[oldest.sequence]
            self._bytes -= oldest.size
            leaving.append(oldest)

    def discard(self, finished: Finished) -> None:
        """Forget one: it is to run again."""
        if finished.caller is None:
            if self._timed.pop(finished.sequence, None) is not None:
                self._bytes -= finished.size
        elif self._durable.get(finished.caller, {}).pop(finished.number, None) is not None:
            self._durable_count -= 1

    @property
    def has_room(self) -> bool:
        """False while so many durable calls are remembered that no new one can be taken."""
        return self._durable_count < self._max_count

    def is_stale(self, caller: Caller, number: int) -> bool:
        """Whether the caller has finished this call number before."""
        return number < self._low.get(caller, 0)

    def raise_low(self, caller: Caller, low: int) -> list[Finished] | None:
        """The caller needs nothing below ``low``; None if that was known.

        Returns those below it, in order of call number.
        """
        known = self._low.get(caller, 0)
        if low <= known:
            return None
        self._low[caller] = low
        self._low.move_to_end(caller)
        while len(self._low) > MAX_HORIZONS:
            self.evicted.append(self._low.popitem(last=False)[0])
        kept = self._durable.get(caller)
        if not kept:
            return []
        if low - known <= len(kept):
            numbers = [number for number in range(known, low) if number in kept]
        else:
            numbers = sorted(number for number in kept if number < low)
        passed = [kept.pop(number) for number in numbers]
        self._durable_count -= len(passed)
        if not kept:
            del self._durable[caller]
        return passed

    def restore_low(self, caller: Caller, low: int) -> None:
        """What a restart found, least recently heard first."""
        self._low[caller] = low

    def __len__(self) -> int:
        return len(self._timed) + self._durable_count
