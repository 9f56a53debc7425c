"""What is sent: a file or a tree as it was when listed, and its blocks as they are read."""

from __future__ import annotations

import os
import stat
from array import array
from pathlib import Path

from actr_peer.actor.files.tree import Tree
from actr_peer.errors import CallError, Code, ConfigError
from actr_peer.protocol.files.manifest import (
    MAX_ENTRIES,
    MAX_PATHS_BYTES,
    Digests,
    Entry,
    FileOffer,
    Manifest,
    digest_of,
)
from actr_peer.protocol.rpc.bounds import is_utf8


class Source:
    """A file or a directory to send; every method works on the disk and may take long.

    Args:
        path: A link is followed here, and nowhere below.
        name: What it is called at the receiver; None: as ``path`` is.

    Raises:
        ConfigError: If it cannot be read, or holds what is no file or directory.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.digests = Digests()
        """Of the blocks that were read in order."""
        self._root = path.resolve()
        self._numbers = array("Q")
        """Of each entry, as its file system has it."""
        if name is None:
            name = path.name if path.name not in ("", "..") else self._root.name
        if not is_utf8(name):
            raise ConfigError(f"cannot send {path}: its name is not UTF-8; give it another by name")
        try:
            entries = self._list()
        except OSError as exc:
            raise ConfigError(f"cannot send {exc.filename or path}: {exc.strerror}") from exc
        offer = FileOffer(
            name=name,
            is_directory=self._tree.is_directory,
            entries=len(entries),
            size_bytes=sum(entry.size_bytes for entry in entries),
        )
        self.manifest = Manifest(offer, entries)

    def block(self, number: int) -> tuple[bytes, bytes]:
        """A block and its digest.

        Raises:
            CallError: FAILED_PRECONDITION, if the file is not what was listed.
        """
        block = self.manifest.block(number)
        entry = self.manifest.entries[block.entry]
        try:
            data, now = self._tree.read(entry.path, block)
        except OSError as exc:
            raise self._changed(entry, exc.strerror) from exc
        same = (entry.size_bytes, entry.mtime_ns, self._numbers[block.entry])
        if (now.st_size, now.st_mtime_ns, now.st_ino) != same:
            raise self._changed(entry)
        digest = digest_of(data)
        if len(data) != block.size_bytes or self._was_another(number, digest):
            raise self._changed(entry)
        if number == len(self.digests):
            self.digests.add(digest)
        return data, digest

    def learn(self, first: int, last: int) -> None:
        """Read blocks for their digests, where they are not known."""
        for number in range(max(first, len(self.digests)), last):
            self.block(number)

    def close(self) -> None:
        self._tree.close()

    def _was_another(self, number: int, digest: bytes) -> bool:
        return number < len(self.digests) and self.digests[number] != digest

    def _changed(self, entry: Entry, why: str | None = None) -> CallError:
        path = self._root / entry.path if entry.path else self._root
        return CallError(
            Code.FAILED_PRECONDITION,
            f"{path} changed while it was sent{f': {why}' if why else ''}; send it again",
        )

    def _list(self) -> list[Entry]:
        """One entry for a file; for a directory all that is in it, each below its directory."""
        root = self._root
        found = root.stat()
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise ConfigError(f"cannot send {root}: it is no file and no directory")
        self._tree = Tree(root)
        try:
            if self._tree.is_directory:
                return self._list_below()
            if not os.access(root, os.R_OK):
                raise ConfigError(f"cannot send {root}: it may not be read")
            return [self._entry("", found)]
        except BaseException:
            self._tree.close()
            raise

    def _list_below(self) -> list[Entry]:
        entries: list[Entry] = []
        waiting = [""]
        left = MAX_PATHS_BYTES
        while waiting:
            below = waiting.pop()
            for name, found, may_be_read in self._tree.items(below):
                path = f"{below}/{name}" if below else name
                self._check(path, found, may_be_read=may_be_read)
                entries.append(self._entry(path, found))
                if entries[-1].is_directory:
                    waiting.append(path)
                left -= len(path.encode())
                if len(entries) > MAX_ENTRIES or left < 0:
                    raise ConfigError(
                        f"cannot send {self._root}: it has over {MAX_ENTRIES} entries, or "
                        f"{MAX_PATHS_BYTES} bytes of paths; send parts of it, or an archive"
                    )
        return entries

    def _check(self, path: str, found: os.stat_result, *, may_be_read: bool) -> None:
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            why = "it is a link or a device; leave it out"
        elif not is_utf8(path):
            why = "its name is not UTF-8; rename it"
        elif not may_be_read:
            why = "it may not be read"
        else:
            return
        raise ConfigError(f"cannot send {self._root / path}: {why}")

    def _entry(self, path: str, found: os.stat_result) -> Entry:
        is_directory = stat.S_ISDIR(found.st_mode)
        self._numbers.append(found.st_ino)
        return Entry(
            path=path,
            size_bytes=0 if is_directory else found.st_size,
            mtime_ns=found.st_mtime_ns,
            is_directory=is_directory,
        )
