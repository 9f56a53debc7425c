"""A transfer that is half here: its files by number, and beside them the digest of each block.

``.actr-receiving/<key>``: ``0``, ``1`` … are the files in the order of the entries, ``digests`` has
32 bytes for each block that is written. A digest is written after its block, and what is found
again is read over before it counts, so that neither a crash nor a power cut leaves a block that
is believed and not there.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from actr_peer.actor.files.folder import SIDECAR, Folder
from actr_peer.actor.files.tree import read_at
from actr_peer.errors import CallError, Code, RemoteProtocolError
from actr_peer.protocol.files.bounds import ExistingFile
from actr_peer.protocol.files.manifest import DIGEST_BYTES, Digests, Entry, Manifest, digest_of

CHECKED_EACH = 64
"""Blocks that are read over in one go."""
SYNCED_EACH = 4
"""Blocks that are written before the disk is asked to have them: what else is to be on it, as a
mailbox's calls, waits meanwhile (64 held them up for 40 ms of a disk of 1.6 GB/s)."""
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
        self._sidecar = os.open(self._path / SIDECAR, flags, 0o600)
        size = min(self._manifest.blocks * DIGEST_BYTES, os.fstat(self._sidecar).st_size)
        self.digests = Digests(read_at(self._sidecar, size, 0))
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
                data = read_at(self._file, block.size_bytes, block.offset)
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
            if block.is_last:
                self._end_file(block.entry)
            if block.is_last or number % SYNCED_EACH == SYNCED_EACH - 1:
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

    def _end_file(self, number: int) -> None:
        """Give the open file its length and time."""
        entry = self._manifest.entries[number]
        os.ftruncate(self._file, entry.size_bytes)
        os.utime(self._file, ns=(entry.mtime_ns, entry.mtime_ns))

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
            path = self._path / str(number)
            found = path.lstat() if entry.size_bytes else None
            if found is not None and found.st_size < entry.size_bytes:
                raise CallError(Code.DATA_LOSS, f"{entry.path!r} is not there as it arrived")
            if found is None or (found.st_size, found.st_mtime_ns) != _of(entry):
                self._switch(number)
                self._end_file(number)
                os.fsync(self._file)
                self._leave()
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


def heard_of(error: RemoteProtocolError | CallError | OSError) -> CallError:
    """What the sender hears of it."""
    if isinstance(error, OSError):
        return _failed(error)
    if isinstance(error, RemoteProtocolError):
        return CallError(Code.INVALID_ARGUMENT, str(error))
    return error


def _failed(exc: OSError) -> CallError:
    """What the sender is told of the disk here."""
    if exc.errno in _FULL:
        text = "the receiver's disk is full; send it again when there is room, and it goes on"
        return CallError(Code.RESOURCE_EXHAUSTED, text)
    return CallError(Code.INTERNAL, f"the receiver cannot write: {exc.strerror}")


def _of(entry: Entry) -> tuple[int, int]:
    return entry.size_bytes, entry.mtime_ns


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
