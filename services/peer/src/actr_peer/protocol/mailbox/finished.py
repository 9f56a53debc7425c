"""Sans-I/O: finished requests that are not durable, kept for a time and forgotten fairly.

There may be tens of thousands of them, so they are kept by the lot: columns, and one time for
all. A lot that is full is divided by sender. Where there is no room, the oldest lot of the sender
that holds most goes, so that whoever calls much pushes out itself.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count

LOT = 512
"""Requests in a lot: whole pages of the table when they are forgotten."""
LOTS = 16
"""Of a small memory, and of the time one is kept: how finely it forgets."""

Caller = tuple[str, int]
"""Sender and store id: one run of an outbox."""


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
    """Requests of one sender that were finished one after another, and are forgotten together.

    Args:
        until: Monotonic instant after which they are forgotten.
    """

    __slots__ = ("bytes", "newer", "request_ids", "sender", "sequences", "until")

    def __init__(self, sender: str, until: float) -> None:
        self.sender = sender
        self.until = until
        self.bytes = 0
        self.request_ids: list[str] = []
        self.sequences = array("q")
        self.newer: Lot | None = None
        """The next one of the same sender."""

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """Request id and sequence number of each, oldest first."""
        return zip(self.request_ids, self.sequences, strict=True)


class Open:
    """The newest requests, of all senders.

    Args:
        closes_at: Monotonic instant after which it takes no more.
    """

    __slots__ = ("bytes", "closes_at", "request_ids", "senders", "sequences", "sizes")

    def __init__(self, closes_at: float) -> None:
        self.closes_at = closes_at
        self.bytes = 0
        self.senders: list[str] = []
        self.request_ids: list[str] = []
        self.sequences = array("q")
        self.sizes = array("q")

    def divide(self, until: float) -> list[Lot]:
        """One lot for each sender."""
        sender = self.senders[0]
        lot = Lot(sender, until)
        if self.senders.count(sender) == len(self.senders):
            lot.request_ids, lot.sequences, lot.bytes = self.request_ids, self.sequences, self.bytes
            return [lot]
        lots: dict[str, Lot] = {}
        columns = zip(self.senders, self.request_ids, self.sequences, self.sizes, strict=True)
        for sender, request_id, sequence, size in columns:
            known = lots.get(sender)
            if known is None:
                known = lots[sender] = Lot(sender, until)
            known.request_ids.append(request_id)
            known.sequences.append(sequence)
            known.bytes += size
        return list(lots.values())


class Holder:
    """What one sender holds, oldest lot first."""

    __slots__ = ("bytes", "count", "newest", "number", "oldest")

    def __init__(self, lot: Lot, number: int) -> None:
        self.oldest = self.newest = lot
        self.number = number
        """Among those who hold as much, who has held something for longest is first."""
        self.count = 0
        self.bytes = 0


class Most:
    """Who holds most of one thing; noting costs O(log n), asking as much for what was noted.

    A note is never less than its sender holds: whoever comes to hold more is noted again.

    Args:
        held: How much a holder has of it.
    """

    def __init__(self, held: Callable[[Holder], int]) -> None:
        self._held = held
        self._notes: list[tuple[int, int, str]] = []

    def note(self, sender: str, holder: Holder) -> None:
        heappush(self._notes, (-self._held(holder), holder.number, sender))

    def tidy(self, holders: dict[str, Holder]) -> None:
        """Drop the notes that others have replaced, when they are the greater part."""
        if len(self._notes) > 2 * len(holders) + LOT:
            held = self._held
            self._notes = [(-held(one), one.number, sender) for sender, one in holders.items()]
            heapify(self._notes)

    def take(self, holders: dict[str, Holder]) -> str | None:
        """Who holds most; to be noted again if it still holds something."""
        notes = self._notes
        while notes:
            amount, number, sender = notes[0]
            holder = holders.get(sender)
            held = 0 if holder is None or holder.number != number else self._held(holder)
            if held == -amount:
                heappop(notes)
                return sender if held else None
            if held:
                heapreplace(notes, (-held, number, sender))
            else:
                heappop(notes)
        return None


class Lots:
    """The finished requests that are not durable.

    Args:
        seconds: How long one stays, where there is room.
        max_count: How many.
        max_bytes: Of their replies.
    """

    def __init__(self, seconds: float, max_count: int, max_bytes: int) -> None:
        self._seconds = seconds
        self._max_count = max_count
        self._max_bytes = max_bytes
        self._lot_size = max(1, min(LOT, max_count // LOTS))
        self._lot_bytes = max_bytes // LOTS
        self._open = Open(float("-inf"))
        self._kept: OrderedDict[Lot, None] = OrderedDict()
        self._holders: dict[str, Holder] = {}
        self._numbers = count()
        self._most_calls = Most(lambda holder: holder.count)
        self._most_bytes = Most(lambda holder: holder.bytes)
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count + len(self._open.sequences)

    def add(self, finished: Finished, now: float) -> list[Lot]:
        """Remember one; returns what leaves for it."""
        newest = self._open
        sequences = newest.sequences
        newest.senders.append(finished.sender)
        newest.request_ids.append(finished.request_id)
        sequences.append(finished.sequence)
        newest.sizes.append(finished.size)
        newest.bytes += finished.size
        if (
            len(sequences) < self._lot_size
            and newest.bytes <= self._lot_bytes
            and now <= newest.closes_at
        ):
            return []
        return self._close(newest, now)

    def _close(self, full: Open, now: float) -> list[Lot]:
        """It is full, or has been open for long; see what leaves for it."""
        self._open = Open(now + self._seconds / LOTS)
        leaving = []
        while self._kept and (oldest := next(iter(self._kept))).until <= now:
            self._drop(oldest)
            leaving.append(oldest)
        lots = full.divide(now + self._seconds)
        for lot in lots:
            self._keep(lot)
        newest = set(lots)
        leaving += self._crowd_out(self._most_calls, self._has_too_many, newest)
        leaving += self._crowd_out(self._most_bytes, self._has_too_long, newest)
        self._most_calls.tidy(self._holders)
        self._most_bytes.tidy(self._holders)
        return leaving

    def _has_too_many(self) -> bool:
        return self._count > self._max_count

    def _has_too_long(self) -> bool:
        return self._bytes > self._max_bytes

    def _crowd_out(self, most: Most, is_over: Callable[[], bool], newest: set[Lot]) -> list[Lot]:
        """Drop the oldest of whoever holds most, until there is room for all others."""
        leaving: list[Lot] = []
        spared: list[str] = []
        while is_over() and (sender := most.take(self._holders)) is not None:
            oldest = self._holders[sender].oldest
            if oldest in newest:
                # However long its replies, the newest stays: it must not run twice.
                spared.append(sender)
                continue
            self._drop(oldest)
            leaving.append(oldest)
            if sender in self._holders:
                most.note(sender, self._holders[sender])
        for sender in spared:
            most.note(sender, self._holders[sender])
        return leaving

    def _keep(self, lot: Lot) -> None:
        sender = lot.sender
        holder = self._holders.get(sender)
        if holder is None:
            holder = self._holders[sender] = Holder(lot, next(self._numbers))
        else:
            holder.newest.newer = lot
            holder.newest = lot
        self._kept[lot] = None
        self._count_lot(holder, lot, 1)
        self._most_calls.note(sender, holder)
        self._most_bytes.note(sender, holder)

    def _drop(self, lot: Lot) -> None:
        """Forget the oldest lot of its sender."""
        del self._kept[lot]
        holder = self._holders[lot.sender]
        self._count_lot(holder, lot, -1)
        if lot.newer is None:
            del self._holders[lot.sender]
        else:
            holder.oldest = lot.newer

    def _count_lot(self, holder: Holder, lot: Lot, sign: int) -> None:
        calls, size = sign * len(lot), sign * lot.bytes
        holder.count += calls
        holder.bytes += size
        self._count += calls
        self._bytes += size
