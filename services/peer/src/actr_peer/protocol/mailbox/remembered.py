"""Sans-I/O: which finished requests are remembered, and for how long (docs/mailbox.md).

A call that is not durable is remembered for a time, a durable one until its caller's low-water
mark passes it. Both are bounded in number and bytes; where there is no room for another durable
one, callers that have been silent for that time lose theirs, which then neither run again nor are
answered.
"""

from __future__ import annotations

from collections import OrderedDict

from actr_peer.protocol.mailbox.finished import Caller, Finished, Lots
from actr_peer.protocol.mailbox.requests import (
    MAX_HORIZONS,
    MAX_HORIZONS_OF_ONE,
    MAX_REMEMBERED,
    REMEMBER,
)

FINE = 64
"""Of the time for which a caller must have been silent: how finely it is known."""


class Remembered:
    """The finished requests, oldest first; methods return those that are to be forgotten.

    Args:
        seconds: How long a call that is not durable stays at least, and how long the caller of a
            durable one must have been silent before it is forgotten for want of room.
        max_count: Of each of the two sorts.
        max_bytes: Of replies, of each of the two sorts.
    """

    def __init__(
        self,
        *,
        seconds: float = REMEMBER,
        max_count: int = MAX_REMEMBERED,
        max_bytes: int = 1 << 62,
    ) -> None:
        self._seconds = seconds
        self._fine = seconds / FINE
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._lots = Lots(seconds, max_count, max_bytes)
        self.add = self._lots.add
        """Remember one that is not durable; returns what leaves for it."""
        self._durable: dict[Caller, dict[int, Finished]] = {}
        self._heard: OrderedDict[Caller, float] = OrderedDict()
        """When each of them was last heard; the longest silent is first."""
        self._held: dict[str, list[int]] = {}
        """Durable calls and bytes of their replies, by sender."""
        self._durable_held = [0, 0]
        self._low: OrderedDict[Caller, int] = OrderedDict()
        self._lows_of: dict[str, dict[int, None]] = {}
        """Their store ids, by sender; the one that was new first is first."""
        self.evicted: list[Caller] = []
        """Whose mark was forgotten for another's; for the shell to take away."""

    def add_durable(self, finished: Finished, now: float) -> bool:
        """Remember a durable call; False if its caller has no need of it any more."""
        caller = finished.caller
        assert caller is not None
        if finished.number < self._low.get(caller, 0):
            return False
        kept = self._durable.get(caller)
        if kept is None:
            kept = self._durable[caller] = {}
            self._heard[caller] = now
        kept[finished.number] = finished
        self._count_durable(finished, 1)
        return True

    def _count_durable(self, finished: Finished, sign: int) -> None:
        size, all_held = sign * finished.size, self._durable_held
        all_held[0] += sign
        all_held[1] += size
        held = self._held.get(finished.sender)
        if held is None:
            self._held[finished.sender] = [sign, size]
            return
        held[0] += sign
        held[1] += size
        if not held[0]:
            del self._held[finished.sender]

    def discard(self, finished: Finished) -> None:
        """Forget a durable call: it is to run again."""
        assert finished.caller is not None
        kept = self._durable.get(finished.caller, {})
        if kept.pop(finished.number, None) is not None:
            self._count_durable(finished, -1)
            self._drop_empty(finished.caller)

    def _drop_empty(self, caller: Caller) -> None:
        if not self._durable.get(caller, True):
            del self._durable[caller]
            del self._heard[caller]

    def hear(self, caller: Caller, now: float) -> None:
        """A message of this caller came: it is not gone."""
        heard = self._heard.get(caller)
        if heard is not None and now - heard > self._fine:
            self._heard[caller] = now
            self._heard.move_to_end(caller)

    def make_room(self, sender: str, now: float) -> list[tuple[Caller, int, list[Finished]]]:
        """Try to have room for another durable call of ``sender``; see :meth:`has_room`.

        What belongs to callers that have not been heard for long is given up, the longest silent
        first, and their marks are raised over it: what is forgotten does not run again.

        Returns:
            Who was forgotten: the caller, its new mark, and its calls in order of number.
        """
        gone: list[tuple[Caller, int, list[Finished]]] = []
        while not self.has_room(sender):
            caller = self._longest_silent(sender)
            if caller is None or self._heard[caller] > now - self._seconds:
                break
            low = max(self._durable[caller]) + 1
            gone.append((caller, low, self.raise_low(caller, low) or []))
        return gone

    def _longest_silent(self, sender: str) -> Caller | None:
        """Of all; but who holds half of all that there is costs itself only."""
        if 2 * self._held.get(sender, (0, 0))[0] >= self._max_count:
            return next((caller for caller in self._heard if caller[0] == sender), None)
        return next(iter(self._heard), None)

    def has_room(self, sender: str) -> bool:
        """Whether another durable call of ``sender`` can be remembered.

        A sender may hold as much as is left for all, so that a newcomer finds room.
        """
        count, size = self._held.get(sender, (0, 0))
        left = self._max_count - self._durable_held[0]
        return count < left and size <= self._max_bytes - self._durable_held[1]

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
        if known:
            self._low[caller] = low
            self._low.move_to_end(caller)
        else:
            self.restore_low(caller, low)
            self._bound_lows(caller)
        kept = self._durable.get(caller)
        if not kept:
            return []
        if low - known <= len(kept):
            numbers = [number for number in range(known, low) if number in kept]
        else:
            numbers = sorted(number for number in kept if number < low)
        passed = [kept.pop(number) for number in numbers]
        for finished in passed:
            self._count_durable(finished, -1)
        self._drop_empty(caller)
        return passed

    def _bound_lows(self, caller: Caller) -> None:
        own = self._lows_of[caller[0]]
        if len(own) > MAX_HORIZONS_OF_ONE:
            self._forget_low((caller[0], next(iter(own))))
        while len(self._low) > MAX_HORIZONS:
            self._forget_low(next(iter(self._low)))

    def _forget_low(self, caller: Caller) -> None:
        del self._low[caller]
        own = self._lows_of[caller[0]]
        del own[caller[1]]
        if not own:
            del self._lows_of[caller[0]]
        self.evicted.append(caller)

    def restore_low(self, caller: Caller, low: int) -> None:
        """What a restart found, least recently heard first."""
        self._low[caller] = low
        self._low.move_to_end(caller)
        self._lows_of.setdefault(caller[0], {})[caller[1]] = None

    def __len__(self) -> int:
        return len(self._lots) + self._durable_held[0]
