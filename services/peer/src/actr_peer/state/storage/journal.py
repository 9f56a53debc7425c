"""The run journal: which requests run now, in a small file (decision 0009).

A word written to it survives the death of the process, by ``kill -9`` too, and costs less than
a microsecond; a commit costs a sync. It need not survive a power cut: no request causes one.

Layout, words of 8 bytes, little endian: :data:`_MAGIC`; the identity of the database; the
generation; the request whose effects are being committed; then :data:`SLOTS` words of those that
run. A request is ``check << 48 | sequence << 1 | is_deferred``, or 0 for none. Its check depends on
the identity, so that garbage, or the journal of another file, blames nobody. Recovery counts a
generation once: the database holds the last one that it has counted.
"""

from __future__ import annotations

import logging
from typing import Protocol

from actr_peer.errors import ConfigError
from actr_peer.state.storage.words import Words

log = logging.getLogger(__name__)

MAX_DEFERRED = 1024
"""Handlers that have handed their reply to a task and returned."""
SLOTS = MAX_DEFERRED + 64
"""Room for all that runs side by side, and all that is deferred."""
_MAGIC = int.from_bytes(b"actrrun2", "little")
_IDENTITY, _GENERATION, _COMMIT, _FIRST = 1, 2, 3, 4
"""Places of words; the slots start at the last."""
_BYTES = 8 * (_FIRST + SLOTS)
_WORD = (1 << 64) - 1
_MAX_GENERATION = (1 << 63) - 1
"""As SQLite keeps it."""
_MIX = 0x9E37_79B9_7F4A_7C15
_NOTE_BITS = 48


class Journal(Protocol):
    """Marks requests as running, from start to completion.

    Attributes:
        lingers: Whether the word of one that leaves may stay until :meth:`enter` writes another
            in its place, or :meth:`settle`: while no handler can run before one of the two.
    """

    lingers: bool

    def enter(self, sequence: int) -> int:
        """Note that ``sequence`` runs; returns its slot."""

    def defer(self, slot: int) -> None:
        """Note that the handler in ``slot`` returned, and its reply is still to come."""

    def leave(self, slot: int) -> None:
        """Note that the request in ``slot`` has ended."""

    def settle(self) -> None:
        """Write what lingers."""

    def commit(self, sequence: int) -> None:
        """Note whose effects are being written, 0 for nobody's; where the writer runs."""


class NoJournal:
    """For a mailbox in memory: nothing would read it."""

    lingers = False

    def enter(self, sequence: int) -> int:
        return 0

    def defer(self, slot: int) -> None:
        pass

    def leave(self, slot: int) -> None:
        pass

    def settle(self) -> None:
        pass

    def commit(self, sequence: int) -> None:
        pass


class RunJournal:
    """The file; opened before recovery, closed with the mailbox.

    Raises:
        ConfigError: If the file cannot be made or read.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._file = Words(path, _FIRST + SLOTS)
        except OSError as exc:
            raise ConfigError(f"run journal {path}: {exc}; remove it, or make room") from exc
        self._words = self._file.all
        self._free = list(range(_FIRST + SLOTS - 1, _FIRST - 1, -1))
        self._identity = 0
        self.lingers = False
        self._stale = 0
        """The free slot whose word is still that of who has left it, which the next one gets; 0:
        none. So of handlers that run one after another, each costs one write and not two."""

    def belong(self, identity: int) -> None:
        """Say whose journal it is; one that is not the database's own is made empty."""
        self._identity = identity
        words = self._words
        if words[0] == _MAGIC and words[_IDENTITY] == identity:
            return
        if any(words):
            log.warning(
                "run journal is damaged or another file's: nobody is blamed: %s", self._path
            )
        for place in range(len(words)):
            words[place] = 0
        words[_IDENTITY] = identity
        words[0] = _MAGIC
        self._file.write_all()

    @property
    def generation(self) -> int:
        """Counts the starts that have read this journal; at most 2⁶³−1."""
        return self._words[_GENERATION] & _MAX_GENERATION

    def interrupted(self) -> dict[int, bool]:
        """Sequence number of each request that ran, to whether it was deferred."""
        return _read(self._words)

    def restart(self) -> None:
        """Forget what was interrupted; call it once that is committed."""
        for place in range(_COMMIT, len(self._words)):
            self._words[place] = 0
        self._words[_GENERATION] = (self.generation + 1) & _MAX_GENERATION
        self._file.write_all()

    def enter(self, sequence: int) -> int:
        slot = self._free.pop()
        if slot == self._stale:
            self._stale = 0
        self._file.put(slot, _note(sequence << 1, self._identity))
        return slot

    def defer(self, slot: int) -> None:
        sequence = self._words[slot] & ((1 << _NOTE_BITS) - 1)
        self._file.put(slot, _note(sequence | 1, self._identity))

    def leave(self, slot: int) -> None:
        if self._stale:
            self.settle()
        self._free.append(slot)
        if self.lingers:
            self._stale = slot
        else:
            self._file.put(slot, 0)

    def settle(self) -> None:
        if self._stale:
            self._file.put(self._stale, 0)
            self._stale = 0

    def commit(self, sequence: int) -> None:
        self._file.put(_COMMIT, _note(sequence << 1, self._identity) if sequence else 0)

    def close(self) -> None:
        self._file.close()


def _note(value: int, identity: int) -> int:
    """A sequence number and its flag, below 2⁴⁸, with their check."""
    check = ((value ^ identity) * _MIX & _WORD) >> _NOTE_BITS
    return check << _NOTE_BITS | value


def _read(words: memoryview[int]) -> dict[int, bool]:
    identity = words[_IDENTITY]
    found: dict[int, bool] = {}
    for word in words[_COMMIT:]:
        value = word & ((1 << _NOTE_BITS) - 1)
        if value and word == _note(value, identity):
            # One that is deferred, and is being committed, is a crash.
            found[value >> 1] = bool(value & 1) and found.get(value >> 1, True)
    return found


def read_running(path: str) -> frozenset[int]:
    """Sequence numbers that run now, for a reader in another process; empty without a file."""
    try:
        with open(path, "rb") as file:
            data = file.read(_BYTES)
    except FileNotFoundError:
        return frozenset()
    words = memoryview(data[: len(data) // 8 * 8]).cast("Q")
    return frozenset(_read(words)) if len(words) > _FIRST and words[0] == _MAGIC else frozenset()
