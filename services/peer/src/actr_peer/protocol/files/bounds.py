"""Sans-I/O: how much a receiver takes, from how many, and what becomes of a name that is there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from actr_peer.errors import CallError, Code

MAX_TRANSFERS = 8
"""At a time, of all senders."""
MAX_TRANSFERS_EACH = 2
"""At a time, of one sender."""
MAX_CLOSING = 8
"""That have ended and still let go of their files: each has a thread, as who waits for it has."""
SILENT_SECONDS = 3.0
"""A transfer of which nothing has come for so long gives its place to a new try of the same."""
IDLE_SECONDS, PROOF_SECONDS = 60.0, 900.0
"""A transfer of which nothing has come for so long is over: at any time, and while its sender reads
what it sent before."""
KEEP_SECONDS = 7 * 86400.0
"""That a partial transfer waits for its sender."""
RETRY_AFTER = 1.0
"""Seconds after which a sender that found no place may come again."""


class ExistingFile(Enum):
    """What becomes of a file whose name is there already."""

    REFUSE = "refuse"
    """The sender gets ALREADY_EXISTS."""
    REPLACE = "replace"
    """It takes the place of the other, which a reader sees whole until then."""
    NUMBER = "number"
    """It is called ``name (2)``."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes and files, a directory counted as one: what is there, or what is asked for."""

    size_bytes: int = 0
    files: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.size_bytes + other.size_bytes, self.files + other.files)


@dataclass(frozen=True, slots=True)
class FileQuota:
    """The most that a folder may hold, whole and partial files together; None: no bound.

    A directory counts as a file: what is counted is names.
    """

    size_bytes: int | None = None
    files: int | None = None

    @property
    def is_bounded(self) -> bool:
        return self.size_bytes is not None or self.files is not None

    def check(self, used: Usage, asked: Usage, *, free_bytes: int) -> None:
        """Whether a transfer fits.

        Args:
            used: In the folder, and promised to others.
            asked: By the transfer, whole.
            free_bytes: On the disk, for what of it is not there yet.

        Raises:
            CallError: RESOURCE_EXHAUSTED, with how much is left.
        """
        both = used + asked
        if self.size_bytes is not None and both.size_bytes > self.size_bytes:
            left = max(0, self.size_bytes - used.size_bytes)
            raise _full(f"{asked.size_bytes} bytes are over the quota: {left} are left")
        if self.files is not None and both.files > self.files:
            left = max(0, self.files - used.files)
            raise _full(f"{asked.files} files are over the quota: {left} are left")
        if asked.size_bytes > free_bytes:
            raise _full(f"{asked.size_bytes} bytes do not fit: the disk has {free_bytes}")


def check_places(mine: int, all_of_them: int, *, closing: int = 0) -> None:
    """Whether one more transfer may begin.

    Args:
        mine: Transfers of the same sender that go on.
        all_of_them: Transfers that go on.
        closing: Transfers that have ended and still have files.

    Raises:
        CallError: RESOURCE_EXHAUSTED, retryable.
    """
    if closing >= MAX_CLOSING:
        raise CallError(
            Code.RESOURCE_EXHAUSTED,
            f"{closing} transfers that have ended are not off the disk yet: it is slow",
            retryable=True,
            retry_after=RETRY_AFTER,
        )
    if all_of_them >= MAX_TRANSFERS or mine >= MAX_TRANSFERS_EACH:
        raise CallError(
            Code.RESOURCE_EXHAUSTED,
            f"{all_of_them} transfers go on here, {mine} of yours; at most {MAX_TRANSFERS} do, "
            f"{MAX_TRANSFERS_EACH} of one sender",
            retryable=True,
            retry_after=RETRY_AFTER,
        )


def may_take_over(*, silent_seconds: float) -> bool:
    """Whether a new try of a transfer takes the place of one that still goes on."""
    return silent_seconds >= SILENT_SECONDS


def in_progress(name: str) -> CallError:
    """What a second sender of the same hears."""
    return CallError(
        Code.ABORTED,
        f"{name!r} is being received already",
        retryable=True,
        retry_after=RETRY_AFTER,
    )


def is_stale(*, age_seconds: float, keep_seconds: float) -> bool:
    """Whether a partial transfer has waited for too long; a clock that went back keeps it."""
    return age_seconds > keep_seconds


def _full(text: str) -> CallError:
    return CallError(Code.RESOURCE_EXHAUSTED, text)


def idle() -> CallError:
    """What a sender hears that said nothing for too long."""
    return CallError(Code.ABORTED, "nothing has come of the transfer for too long", retryable=True)
