"""The run journal: which requests run now, in a small mapped file (decision 0009).

A store into the map survives the death of the process, by ``kill -9`` too, and costs less than
a microsecond; a commit costs a sync. It need not survive a power cut: no request causes one.

Layout, little endian: ``u64 generation``, then :data:`SLOTS` times ``u64``: 0 for free, else
``sequence << 1 | is_deferred``. Recovery counts a generation once: the database holds the last
one that it has counted.
"""

from __future__ import annotations

import mmap
import os
from typing import Protocol

MAX_DEFERRED = 1024
"""Handlers that have handed their reply to a task and returned."""
SLOTS = MAX_DEFERRED + 64
"""Room for all that runs side by side, and all that is deferred."""
_BYTES = 8 * (1 + SLOTS)


class Journal(Protocol):
    """Marks requests as running, from start to completion."""

    def enter(self, sequence: int) -> int:
        """Note that ``sequence`` runs; returns its slot."""

    def defer(self, slot: int) -> None:
        """Note that the handler in ``slot`` returned, and its reply is still to come."""

    def leave(self, slot: int) -> None:
        """Note that the request in ``slot`` has ended."""


class NoJournal:
    """For a mailbox in memory: nothing would read it."""

    def enter(self, sequence: int) -> int:
        return 0

    def defer(self, slot: int) -> None:
        pass

    def leave(self, slot: int) -> None:
        pass


class RunJournal:
    """The mapped file; opened before recovery, closed with the mailbox."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = os.fstat(self._file).st_size
        if size < _BYTES:
            # Written, not truncated to size: a full disk must not fault the map later.
            os.pwrite(self._file, bytes(_BYTES - size), size)
        self._map = mmap.mmap(self._file, _BYTES)
        self._slots = memoryview(self._map).cast("Q")
        self._free = list(range(SLOTS, 0, -1))

    @property
    def generation(self) -> int:
        """Counts the starts that have read this journal."""
        return self._slots[0]

    def interrupted(self) -> dict[int, bool]:
        """Sequence number of each request that ran, to whether it was deferred."""
        return {slot >> 1: bool(slot & 1) for slot in self._slots[1:] if slot}

    def restart(self) -> None:
        """Forget what was interrupted; call it once that is committed."""
        for slot in range(1, SLOTS + 1):
            self._slots[slot] = 0
        self._slots[0] += 1

    def enter(self, sequence: int) -> int:
        slot = self._free.pop()
        self._slots[slot] = sequence << 1
        return slot

    def defer(self, slot: int) -> None:
        self._slots[slot] |= 1

    def leave(self, slot: int) -> None:
        self._slots[slot] = 0
        self._free.append(slot)

    def close(self) -> None:
        self._slots.release()
        self._map.close()
        os.close(self._file)


def read_running(path: str) -> frozenset[int]:
    """Sequence numbers that run now, for a reader in another process; empty without a file."""
    try:
        with open(path, "rb") as file:
            data = file.read(_BYTES)
    except FileNotFoundError:
        return frozenset()
    slots = memoryview(data[: len(data) // 8 * 8]).cast("Q")
    return frozenset(slot >> 1 for slot in slots[1:] if slot)
