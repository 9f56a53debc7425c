"""Sans-I/O: which finished requests are remembered, and for how long (spec 3.4, 8).

A call that is not durable is remembered for a time, a durable one exactly until its caller's
low-water mark passes it. Both are bounded in number and bytes.

There may be tens of thousands of the first sort, so they are kept by the lot: three columns, and
one time for all.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict, deque
from collections.abc import Iterator
from math import inf

from actr_peer.protocol.mailbox import MAX_HORIZONS, MAX_REMEMBERED, REMEMBER

LOT = 512
"""Requests in a lot: whole pages of the table when they are forgotten."""
LOTS = 16
"""Of a small memory, and of the time one is kept: how finely it forgets."""

Caller = tuple[str, int]
"""Sender and store id: an outbox."""


class Finished:
    """One finished request: not saved yet, or durable.

    Attributes:
        caller: The outbox it came from, for a durable call; else None.
        number: Its call number there.
        reply: Until it is saved; after that it is read back from the table.
        size: Bytes of the reply; 0 if there is none.
    """

    __slots__ = ("caller", "number", "reply", "request_id", "sender", "sequence", "size")

    def __init__(
        self,
        sender: str,
        request_id: str,
        sequence: int,
        *,
        size: int,
        reply: bytes | None = None,
        caller: Caller | None = None,
        number: int = 0,
    ) -> None:
        self.sender = sender
        self.request_id = request_id
        self.sequence = sequence
        self.size = size
        self.reply = reply
        self.caller = caller
        self.number = number

    def __repr__(self) -> str:
        return f"Finished({self.sender} {self.request_id} #{self.sequence})"


class Lot:
    """Requests that were finished one after another, and are forgotten together.

    Args:
        closes_at: Monotonic instant after which it takes no more.
    """

    __slots__ = ("bytes", "closes_at", "request_ids", "senders", "sequences", "until")

    def __init__(self, closes_at: float) -> None:
        self.closes_at = closes_at
        self.until = inf
        self.bytes = 0
        self.senders: list[str] = []
        self.request_ids: list[str] = []
        self.sequences = array("q")

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        """Sender, request id and sequence number of each, oldest first."""
        return zip(self.senders, self.request_ids, self.sequences, strict=True)


class Remembered:
    """The finished requests, oldest first; methods return those that are to be forgotten.

    Args:
        seconds: How long a call that is not durable stays at least.
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
        self._lot_size = max(1, min(LOT, max_count // LOTS))
        self._lot_bytes = max_bytes // LOTS
        self._lots: deque[Lot] = deque()
        self._newest = Lot(-inf)
        self._count = 0
        self._bytes = 0
        self._durable: dict[Caller, dict[int, Finished]] = {}
        self._durable_count = 0
        self._low: OrderedDict[Caller, int] = OrderedDict()
        self.evicted: list[Caller] = []
        """Whose mark was forgotten for another's; for the shell to take away."""

    def add(self, finished: Finished, now: float) -> list[Lot]:
        """Remember one that is not durable; returns what leaves for it, oldest first."""
        lot = self._newest
        sequences = lot.sequences
        lot.senders.append(finished.sender)
        lot.request_ids.append(finished.request_id)
        sequences.append(finished.sequence)
        lot.bytes += finished.size
        if (
            len(sequences) < self._lot_size
            and lot.bytes <= self._lot_bytes
            and now <= lot.closes_at
        ):
            return []
        return self._close(lot, now)

    def _close(self, lot: Lot, now: float) -> list[Lot]:
        """A lot is full, or has been open for long; see what leaves for it."""
        lot.until = now + self._seconds
        self._bytes += lot.bytes
        self._count += len(lot)
        self._lots.append(lot)
        self._newest = Lot(now + self._seconds / LOTS)
        return self._leaving(now, lot)

    def _leaving(self, now: float, newest: Lot) -> list[Lot]:
        leaving = []
        while self._lots:
            oldest = self._lots[0]
            is_over = self._count > self._max_count or self._bytes > self._max_bytes
            # However long its reply, the newest stays: it must not run twice.
            if (not is_over and oldest.until > now) or oldest is newest:
                break
            leaving.append(self._lots.popleft())
            self._bytes -= oldest.bytes
            self._count -= len(oldest)
        return leaving

    def add_durable(self, finished: Finished) -> bool:
        """Remember a durable call; False if its caller has no need of it any more."""
        caller = finished.caller
        assert caller is not None
        if finished.number < self._low.get(caller, 0):
            return False
        self._durable.setdefault(caller, {})[finished.number] = finished
        self._durable_count += 1
        return True

    def discard(self, finished: Finished) -> None:
        """Forget a durable call: it is to run again."""
        assert finished.caller is not None
        if self._durable.get(finished.caller, {}).pop(finished.number, None) is not None:
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
        return self._count + len(self._newest) + self._durable_count
