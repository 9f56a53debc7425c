"""A transfer that is half here: its files by number, and beside them the digest of each block.

``.actr-receiving/<key>``: ``0``, ``1`` … are the files in the order of the entries, ``digests`` has
32 bytes for each block that is written. A digest is written after its block, and what is found
again is read over before it counts, so that neither a crash nor a power cut leaves a block that
is believed and not there.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from actr_peer.actor.files.folder import Folder
from actr_peer.actor.files.worker import Worker
from actr_peer.errors import CallError, Code
from actr_peer.protocol.files.bounds import ExistingFile, Usage
from actr_peer.protocol.files.manifest import DIGEST_BYTES, Digests, FileOffer, Manifest, digest_of
from actr_peer.protocol.identity import ActrId

CHECKED_EACH = 64
"""Blocks that are read over in one go, or written before the disk is asked to have them."""
_FULL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])


class Partial:
    """One transfer's files; used by its worker only, one method at a time."""

    def __init__(self, folder: Folder, key: str, manifest: Manifest) -> None:
        self.digests = Digests()
        self._folder = folder
        self._key = key
        self._manifest = manifest
        self._path = folder.hold / key
        self._tree = self._path / "tree"
        self._sidecar = -1
        self._file = -1
        self._entry = -1
        """Whose file is open."""

    def open(self) -> int:
        """Make or find it; return how many blocks are said to be there."""
        self._path.mkdir(mode=0o700, exist_ok=True)
        self._take_apart()
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._sidecar = os.open(self._path / "digests", flags, 0o600)
        size = self._manifest.blocks * DIGEST_BYTES
        self.digests = Digests(_read(self._sidecar, size, 0))
        return len(self.digests)

    def check(self, first: int) -> int:
        """Read over some blocks from ``first`` on; return the first that does not count.

        Returns:
            ``first`` and as many as were looked at, if all of them are as they were written.
        """
        last = min(first + CHECKED_EACH, len(self.digests))
        for number in range(first, last):
            block = self._manifest.block(number)
            try:
                self._switch(block.entry)
                data = _read(self._file, block.size_bytes, block.offset)
            except OSError:
                data = b""
            if len(data) != block.size_bytes or digest_of(data) != self.digests[number]:
                self.digests.cut(number)
                return number
        return last

    def begin(self, number: int) -> None:
        """Keep the blocks before ``number``, and nothing else."""
        self._leave()
        self.digests.cut(number)
        os.ftruncate(self._sidecar, number * DIGEST_BYTES)
        first = self._manifest.block(number) if number < self._manifest.blocks else None
        for entry in range(len(self._manifest.entries)):
            path = self._path / str(entry)
            if first is None or entry < first.entry:
                continue
            with suppress(FileNotFoundError):
                if entry == first.entry and first.offset:
                    os.truncate(path, first.offset)
                else:
                    path.unlink()

    def write(self, number: int, data: bytes | bytearray, digest: bytes) -> int:
        """Check a block and write it down; return how many are.

        Raises:
            CallError: DATA_LOSS, if it is not what its sender read; RESOURCE_EXHAUSTED, if the
                disk is full. What was there stays.
        """
        if digest_of(data) != digest:
            raise CallError(Code.DATA_LOSS, f"block {number} did not arrive as it was read")
        block = self._manifest.block(number)
        try:
            self._switch(block.entry)
            _write(self._file, data, block.offset)
            if block.is_last or number % CHECKED_EACH == CHECKED_EACH - 1:
                os.fsync(self._file)
            _write(self._sidecar, digest, number * DIGEST_BYTES)
        except OSError as exc:
            raise _failed(exc) from exc
        self.digests.add(digest)
        return number + 1

    def finish(self, root: bytes, existing: ExistingFile) -> str:
        """Let all of it appear in the folder; return its name there.

        Raises:
            CallError: DATA_LOSS, if it is not what its sender has; ALREADY_EXISTS, by the rule.
        """
        manifest = self._manifest
        if len(self.digests) != manifest.blocks or self.digests.root(manifest.blocks) != root:
            raise CallError(Code.DATA_LOSS, f"{manifest.offer.name!r} did not arrive whole")
        self._leave()
        try:
            made = self._put_together()
            name = self._folder.place(
                made,
                manifest.offer.name,
                existing,
                told=lambda name: self._folder.record(self._key, name, root),
            )
        except OSError as exc:
            raise _failed(exc) from exc
        shutil.rmtree(self._path, ignore_errors=True)
        return name

    def close(self) -> None:
        """Give its descriptors back; what is there waits for its sender."""
        self._leave()
        if self._sidecar >= 0:
            os.close(self._sidecar)
            self._sidecar = -1

    def _switch(self, entry: int) -> None:
        """Have the file of one entry open."""
        if self._entry != entry:
            self._leave()
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.open(self._path / str(entry), flags, 0o666)
            self._entry = entry

    def _leave(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = self._entry = -1

    def _put_together(self) -> Path:
        """The file, or the directory with all that is in it, with their times, on the disk."""
        manifest = self._manifest
        for number, entry in enumerate(manifest.entries):
            if entry.is_directory:
                continue
            if not entry.size_bytes:
                self._switch(number)
                self._leave()
            path = self._path / str(number)
            os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns), follow_symlinks=False)
            _sync(path)
        if not manifest.offer.is_directory:
            return self._path / "0"
        self._tree.mkdir()
        for number, entry in enumerate(manifest.entries):
            if entry.is_directory:
                (self._tree / entry.path).mkdir()
            else:
                (self._path / str(number)).rename(self._tree / entry.path)
        for entry in reversed(manifest.entries):
            if entry.is_directory:
                path = self._tree / entry.path
                os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))
                _sync(path)
        _sync(self._tree)
        return self._tree

    def _take_apart(self) -> None:
        """Undo what an end that was interrupted had put together."""
        if not self._tree.exists():
            return
        for number, entry in enumerate(self._manifest.entries):
            if not entry.is_directory:
                with suppress(FileNotFoundError):
                    (self._tree / entry.path).rename(self._path / str(number))
        shutil.rmtree(self._tree)


@dataclass(slots=True, eq=False)
class Transfer:
    """One that goes on."""

    sender: ActrId
    offer: FileOffer
    touched: float
    """When something came of it last, by the loop's clock."""
    worker: Worker = field(default_factory=Worker)
    partial: Partial | None = None
    is_over: bool = False
    """Another try has its place."""

    @property
    def asked(self) -> Usage:
        return Usage(self.offer.size_bytes, max(1, self.offer.entries))

    def close(self) -> asyncio.Future[None]:
        """Give back what it holds, behind what it has begun; what is there waits for its sender."""
        return self.worker.close(self.partial.close if self.partial is not None else _nothing)


def _nothing() -> None:
    """There is nothing to close."""


def _failed(exc: OSError) -> CallError:
    """What the sender is told of the disk here."""
    if exc.errno in _FULL:
        text = "the receiver's disk is full; send it again when there is room, and it goes on"
        return CallError(Code.RESOURCE_EXHAUSTED, text)
    return CallError(Code.INTERNAL, f"the receiver cannot write: {exc.strerror}")


def _read(file: int, size: int, offset: int) -> bytes:
    """So many bytes, or those that are there."""
    data = os.pread(file, size, offset)
    while 0 < len(data) < size:
        more = os.pread(file, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def _write(file: int, data: bytes | bytearray, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(number)
    finally:
        os.close(number)
