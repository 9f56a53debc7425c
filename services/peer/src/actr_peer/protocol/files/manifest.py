"""Sans-I/O: what a transfer is made of: its offer, its entries, and the blocks of all its files.

Blocks are counted over the whole transfer, in the order of the entries, and none reaches over the
end of a file. So where a transfer stands is one number: how many of its first blocks are there.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from actr_peer.errors import CallError, Code
from actr_peer.protocol.files.names import check_length, check_name, check_path, folded
from actr_peer.protocol.identity import ActrId

BLOCK_BYTES = 1024 * 1024
"""What is hashed, written down, and sent again as one."""
PIECE_BYTES = 64 * 1024
"""Of one item of the stream: cheap, and short enough for an urgent call to overtake."""
MAX_ENTRIES = 65536
"""Files and directories of one transfer."""
MAX_PATHS_BYTES = 16 * 1024 * 1024
"""Of the paths of one transfer together: both sides keep them until its end."""
ENTRIES_EACH = 256
"""In one message, so that none takes long to read."""
MAX_TIME = (1 << 63) - 1
"""Nanoseconds that a file system keeps, either side of 1970."""
DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOffer:
    """What a sender says of a transfer first."""

    name: str
    """The one name that appears in the receiver's folder."""
    is_directory: bool
    entries: int
    size_bytes: int
    """Of all files together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file or directory."""

    path: str
    """Inside the directory, with ``/``; empty for a file that is sent by itself."""
    size_bytes: int
    mtime_ns: int
    """Nanoseconds since 1970."""
    is_directory: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """Where one block is: which entry, and which of its bytes."""

    entry: int
    offset: int
    size_bytes: int
    is_last: bool
    """Of its file."""


class Manifest:
    """An offer with all its entries, and the blocks that follow from them."""

    def __init__(self, offer: FileOffer, entries: Iterable[Entry]) -> None:
        self.offer = offer
        self.entries = tuple(entries)
        counts = (-(-entry.size_bytes // BLOCK_BYTES) for entry in self.entries)
        self._ends = list(accumulate(counts))
        self._bytes = list(accumulate((entry.size_bytes for entry in self.entries), initial=0))
        self.blocks = self._ends[-1] if self._ends else 0
        """How many there are."""
        self.files = sum(not entry.is_directory for entry in self.entries)

    def block(self, number: int) -> Block:
        """Where a block is, by its number from 0."""
        entry = bisect_right(self._ends, number)
        first = self._ends[entry - 1] if entry else 0
        size = self.entries[entry].size_bytes
        offset = (number - first) * BLOCK_BYTES
        length = min(BLOCK_BYTES, size - offset)
        return Block(entry, offset, length, offset + length == size)

    def bytes_of(self, blocks: int) -> int:
        """How many bytes the first ``blocks`` blocks have."""
        if blocks >= self.blocks:
            return self.offer.size_bytes
        at = self.block(blocks)
        return self._bytes[at.entry] + at.offset

    def key(self, sender: ActrId) -> str:
        """The same for each try of one transfer, also after a restart: names, sizes, times, and
        who sends it, whatever its instance."""
        digest = hashlib.sha256()
        offer = self.offer
        head = (sender.actr_type, sender.realm, offer.name, offer.is_directory)
        for row in (head, *map(_row, self.entries)):
            digest.update(repr(row).encode())
        return digest.hexdigest()[:32]


def _row(entry: Entry) -> tuple[str, int, int, bool]:
    return entry.path, entry.size_bytes, entry.mtime_ns, entry.is_directory


class Listing:
    """A manifest as it comes in, entry by entry, held to every rule.

    Raises:
        CallError: INVALID_ARGUMENT, if the offer breaks one.
    """

    def __init__(self, offer: FileOffer, *, hidden: bool) -> None:
        check_name(offer.name, hidden=hidden)
        if not 0 <= offer.entries <= MAX_ENTRIES or not (offer.is_directory or offer.entries == 1):
            raise _bad(f"{offer.entries} entries; a file has 1, a directory up to {MAX_ENTRIES}")
        self.offer = offer
        self._hidden = hidden
        self._entries: list[Entry] = []
        self._folders: dict[str, str] = {"": ""}
        """Of each directory that came, its path and that path folded."""
        self._names: dict[str, str] = {}
        """Folded path to path, of all that came."""
        self._paths_left = MAX_PATHS_BYTES
        self._left = offer.size_bytes

    @property
    def is_whole(self) -> bool:
        return len(self._entries) == self.offer.entries

    def add(self, entries: Iterable[Entry]) -> None:
        """Take the next entries.

        Raises:
            CallError: INVALID_ARGUMENT, if one breaks a rule.
        """
        for entry in entries:
            if self.is_whole:
                raise _bad(f"more than the {self.offer.entries} entries that were offered")
            self._check_path(entry)
            if entry.is_directory and entry.size_bytes:
                raise _bad(f"the directory {entry.path[:80]!r} has bytes")
            if not -MAX_TIME <= entry.mtime_ns <= MAX_TIME:
                raise _bad(f"the time of {entry.path[:80]!r} is none")
            self._left -= entry.size_bytes
            self._entries.append(entry)
        if self._left < 0 or (self.is_whole and self._left):
            raise _bad("the sizes of the entries are not the size of the offer")

    def manifest(self) -> Manifest:
        """All of it, once it :attr:`is_whole`."""
        return Manifest(self.offer, self._entries)

    def _check_path(self, entry: Entry) -> None:
        if not self.offer.is_directory:
            if entry.path or entry.is_directory:
                raise _bad("a file that is sent by itself has no path")
            return
        parent, slash, name = entry.path.rpartition("/")
        above = self._folders.get(parent)
        if above is None or (slash and not parent):
            check_path(entry.path, hidden=self._hidden)
            raise _bad(f"{entry.path[:80]!r} comes before its directory")
        check_name(name, hidden=self._hidden)
        check_length(entry.path)
        own = f"{above}/{folded(name)}"
        if own in self._names:
            raise _bad(f"{entry.path[:80]!r} and {self._names[own][:80]!r} are one name")
        self._paths_left -= len(entry.path.encode())
        if self._paths_left < 0:
            raise _bad(f"its paths have over {MAX_PATHS_BYTES} bytes")
        self._names[own] = entry.path
        if entry.is_directory:
            self._folders[entry.path] = own


class Digests:
    """SHA-256 of each of the first blocks, in their order: 32 bytes for a mebibyte."""

    def __init__(self, raw: bytes = b"") -> None:
        self._raw = bytearray(raw[: len(raw) - len(raw) % DIGEST_BYTES])

    def __len__(self) -> int:
        return len(self._raw) // DIGEST_BYTES

    def __getitem__(self, number: int) -> bytes:
        return bytes(self._raw[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES])

    def add(self, digest: bytes) -> None:
        """Take the digest of the next block."""
        assert len(digest) == DIGEST_BYTES, "a digest of the wrong length"
        self._raw += digest

    def cut(self, blocks: int) -> None:
        """Forget all but the first so many."""
        del self._raw[blocks * DIGEST_BYTES :]

    def root(self, blocks: int) -> bytes:
        """One digest over those of the first ``blocks`` blocks."""
        return hashlib.sha256(self._raw[: blocks * DIGEST_BYTES]).digest()


def digest_of(block: bytes | bytearray) -> bytes:
    """SHA-256 of a block; lets other threads run."""
    return hashlib.sha256(block).digest()


def _bad(text: str) -> CallError:
    return CallError(Code.INVALID_ARGUMENT, f"no offer of files: {text}")
