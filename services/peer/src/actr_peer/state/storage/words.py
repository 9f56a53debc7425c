"""A small file of words, written one at a time, that outlives the process by ``kill -9``.

It is written with ``pwrite`` and not mapped: a store into a map of a file that somebody cuts
short ends the process with a bus error, and no exception can be caught. A write costs 0.7 µs
more than such a store; what is written stays in memory here too, so that nothing is read back.
"""

from __future__ import annotations

import logging
import os

log = logging.getLogger(__name__)

_WORD_BYTES = 8


class Words:
    """The words of one file, all below 2⁶⁴; read when it is opened.

    A word that cannot be written is logged once: what it says is of use after a crash only.

    Args:
        count: Of words. A file that is shorter is filled with zeros, so that a full disk cannot
            keep a word from being written later.

    Raises:
        OSError: If the file cannot be made, read or filled.
    """

    def __init__(self, path: str, count: int) -> None:
        self._path = path
        size = count * _WORD_BYTES
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            found = os.pread(self._file, size, 0)
            if len(found) < size:
                os.pwrite(self._file, bytes(size - len(found)), len(found))
        except BaseException:
            os.close(self._file)
            raise
        self._bytes = memoryview(bytearray(found.ljust(size, b"\0")))
        self.all = self._bytes.cast("Q")
        """To be read, and changed before :meth:`write_all`."""
        self._places = [
            self._bytes[start : start + _WORD_BYTES] for start in range(0, size, _WORD_BYTES)
        ]
        self._has_failed = False

    def put(self, place: int, word: int) -> None:
        """Change one word, and write it."""
        self.all[place] = word
        try:
            os.pwrite(self._file, self._places[place], place * _WORD_BYTES)
        except OSError as exc:
            self._note(exc)

    def write_all(self) -> None:
        """Write all words as they are."""
        try:
            os.pwrite(self._file, self._bytes, 0)
        except OSError as exc:
            self._note(exc)

    def _note(self, error: OSError) -> None:
        if not self._has_failed:
            self._has_failed = True
            log.error("notes for the next start cannot be written: %s: %s", self._path, error)

    def close(self) -> None:
        os.close(self._file)
