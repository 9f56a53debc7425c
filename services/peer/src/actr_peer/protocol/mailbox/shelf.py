"""Sans-I/O: which dead letters are kept.

A letter of the actor's own is a request that it had accepted; a stranger is a message that it never
could have run: undecodable, or for a method that it has not. Strangers take a quarter of the shelf
at most, those of one sender a sixteenth, and make room for the others first: nobody can push out
what the actor had accepted by sending what it does not understand.
"""

from __future__ import annotations

from collections import OrderedDict

STRANGERS_SHARE = 4
"""One part in so many of the shelf may be strangers."""
SENDER_SHARE = 16
"""One part in so many of the shelf may be strangers of one sender."""


class Shelf:
    """Sequence numbers and bytes of letters; methods return the numbers that are to be dropped.

    Args:
        max_bytes: Of all letters.

    Attributes:
        bytes: Of those that are kept.
        dropped: How many were dropped for want of room, or not kept at all.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._own: OrderedDict[int, int] = OrderedDict()
        self._strangers: OrderedDict[int, tuple[int, str]] = OrderedDict()
        """Bytes and sender; the oldest is first, here and above."""
        self._strange_bytes = 0
        self._by_sender: dict[str, OrderedDict[int, int]] = {}
        self._sender_bytes: dict[str, int] = {}
        self.bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._own) + len(self._strangers)

    def restore(self, sequence: int, size: int, stranger: str = "") -> None:
        """A start found a letter; oldest first."""
        self.bytes += size
        if not stranger:
            self._own[sequence] = size
            return
        self._strangers[sequence] = (size, stranger)
        self._strange_bytes += size
        self._by_sender.setdefault(stranger, OrderedDict())[sequence] = size
        self._sender_bytes[stranger] = self._sender_bytes.get(stranger, 0) + size

    def add(self, sequence: int, size: int) -> list[int]:
        """Keep a letter of the actor's own; one that no shelf can hold is dropped itself."""
        leaving: list[int] = []
        if size > self._max_bytes:
            return [self._drop(sequence)]
        while self.bytes + size > self._max_bytes and (self._strangers or self._own):
            leaving.append(self._drop(next(iter(self._strangers or self._own))))
        self.restore(sequence, size)
        return leaving

    def add_stranger(self, sequence: int, size: int, sender: str) -> list[int]:
        """Keep a stranger, in place of older ones of its sender first; one for which there is no
        room is dropped itself."""
        leaving: list[int] = []
        if size > self._max_bytes // SENDER_SHARE:
            return [self._drop(sequence)]
        while self._sender_bytes.get(sender, 0) + size > self._max_bytes // SENDER_SHARE:
            leaving.append(self._drop(next(iter(self._by_sender[sender]))))
        while self._strangers and (
            self._strange_bytes + size > self._max_bytes // STRANGERS_SHARE
            or self.bytes + size > self._max_bytes
        ):
            leaving.append(self._drop(next(iter(self._strangers))))
        if self.bytes + size > self._max_bytes:  # the actor's own fill the shelf
            return [*leaving, self._drop(sequence)]
        self.restore(sequence, size, sender)
        return leaving

    def _drop(self, sequence: int) -> int:
        self.forget(sequence)
        self.dropped += 1
        return sequence

    def forget(self, sequence: int) -> None:
        """A letter is gone; harmless if it is not here."""
        own = self._own.pop(sequence, None)
        if own is not None:
            self.bytes -= own
            return
        size, sender = self._strangers.pop(sequence, (0, ""))
        if not sender:
            return
        self.bytes -= size
        self._strange_bytes -= size
        self._sender_bytes[sender] -= size
        del self._by_sender[sender][sequence]
        if not self._by_sender[sender]:
            del self._by_sender[sender], self._sender_bytes[sender]
