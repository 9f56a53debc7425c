"""What the last run promised, beside the file that must hold it: a loss is noticed at the start.

A database that was emptied, replaced by an older copy, or has lost the end of its log looks in
itself like a good one. So each file has an identity, and a small file, ``FILE-mark``, says
which identity that is and the highest number that was promised from it. A write to it
survives ``kill -9`` and is made after the commit, so that the database has at least what the mark
says; after a power cut it may say less, never more than was promised.

Layout, words of 8 bytes, little endian: :data:`_MAGIC`; the identity and its check; the boot of the
machine during which it was written; whether commits were synced; the highest number.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from actr_peer.errors import ConfigError
from actr_peer.state.storage.database import Connection, Durability
from actr_peer.state.storage.words import Words

log = logging.getLogger(__name__)

AfterLoss = Literal["refuse", "go-on"]
"""What a start does with a file that has lost what was promised."""

_MAGIC = int.from_bytes(b"actrmrk1", "little")
_IDENTITY, _CHECK, _BOOT, _SYNCED, _HIGH = range(1, 6)
_WORDS = 6
_WORD = (1 << 64) - 1
_MIX = 0x9E37_79B9_7F4A_7C15
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What the last run left.

    Attributes:
        boot: Of the machine, as a number; 0: unknown.
        is_synced: Whether each commit was synced before it was promised.
        high: The highest number promised; 0: nothing was.
    """

    identity: int
    boot: int
    is_synced: bool
    high: int


def find_loss(mark: Mark | None, *, identity: int, high: int) -> str:
    """What is missing in a file with ``identity`` that goes up to ``high``; empty: nothing.

    Args:
        identity: 0 for a file that is new.
    """
    if mark is None or not mark.high:
        return ""
    if not identity:
        return f"it is empty or new, and {mark.high} was promised from the one before"
    if identity != mark.identity:
        return f"it is another file than the one from which {mark.high} was promised"
    if high < mark.high:
        return f"it ends at {high}, and {mark.high} was promised: an older copy, or without its log"
    return ""


def is_expected(mark: Mark, *, identity: int, boot: int) -> bool:
    """Whether a loss is what the last run allows: commits not synced, and a power cut since."""
    return identity == mark.identity and not mark.is_synced and (not boot or boot != mark.boot)


def boot_number() -> int:
    """Different after each start of the machine; 0: not known."""
    try:
        return int(_BOOT_ID.read_text(encoding="ascii").replace("-", "")[:15], 16)
    except (OSError, ValueError):
        return 0


def identity_of(connection: Connection, table: str) -> int:
    """The identity that is kept in ``table``, made now if there is none."""
    connection.execute(
        f"INSERT OR IGNORE INTO {table} VALUES('identity', ?)",
        (secrets.randbits(62) | 1,),
    )
    row = connection.execute(f"SELECT value FROM {table} WHERE name='identity'").fetchone()  # noqa: S608
    identity: int = row[0]
    return identity


class Witness:
    """The mark of one file; opened before recovery, closed with the file.

    Args:
        path: Of the file it is a witness of.
        what: What the file is called in errors.

    Raises:
        ConfigError: If the mark cannot be made or read.
    """

    def __init__(
        self, path: str, *, what: str, durability: Durability, after_loss: AfterLoss
    ) -> None:
        self._path = path
        self._what = what
        self._is_synced = durability == "power"
        self._after_loss = after_loss
        self._boot = boot_number()
        self.loss = ""
        """What the start found missing, and went on without."""
        try:
            self._file = Words(path + "-mark", _WORDS)
        except OSError as exc:
            raise ConfigError(f"{what} {path}: its mark: {exc}; remove it, or make room") from exc
        self._words = self._file.all

    @property
    def mark(self) -> Mark | None:
        """What the last run left; None: nothing that can be read."""
        words = self._words
        if words[0] != _MAGIC or words[_CHECK] != words[_IDENTITY] * _MIX & _WORD:
            return None
        return Mark(
            identity=words[_IDENTITY],
            boot=words[_BOOT],
            is_synced=bool(words[_SYNCED]),
            high=words[_HIGH],
        )

    def examine(self, *, identity: int, high: int) -> None:
        """Compare the file with its mark.

        Args:
            identity: 0 for a file that is new.

        Raises:
            ConfigError: If something that was promised is missing, and that is neither expected
                nor allowed.
        """
        mark = self.mark
        loss = find_loss(mark, identity=identity, high=high)
        if mark is None or not loss:
            return
        if is_expected(mark, identity=identity, boot=self._boot):
            log.warning("%s has lost its end in a power cut: %s: %s", self._what, self._path, loss)
        elif self._after_loss == "go-on":
            log.error("%s has lost what was promised: %s: %s", self._what, self._path, loss)
        else:
            raise ConfigError(
                f"{self._what} {self._path} has lost what was promised: {loss}; put the right file "
                "back with its -wal, or start once with mailbox.after_loss = go-on "
                "(ACTR_MAILBOX__AFTER_LOSS=go-on) to go on with what is there: docs/mailbox.md"
            )
        self.loss = loss

    def adopt(self, *, identity: int, high: int) -> None:
        """From now on the mark is of this file, which goes up to ``high``."""
        words = self._words
        mark = self.mark
        # Nothing is promised of a file that is not known yet: what opening it wrote is not synced.
        high = min(mark.high, high) if mark is not None and mark.identity == identity else 0
        words[0] = _MAGIC
        words[_IDENTITY] = identity
        words[_CHECK] = identity * _MIX & _WORD
        words[_BOOT] = self._boot
        words[_SYNCED] = self._is_synced
        words[_HIGH] = high
        self._file.write_all()

    def note(self, high: int) -> None:
        """``high`` is committed, and may be promised now."""
        self._words[_HIGH] = high
        self._file.write_all()  # whole: a mark that was cut short or emptied is one again

    def close(self) -> None:
        self._file.close()
