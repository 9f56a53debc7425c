"""What is sent: a file or a tree as it was when listed, and its blocks as they are read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from actr_peer.errors import CallError, Code, ConfigError
from actr_peer.protocol.files.manifest import (
    MAX_ENTRIES,
    Digests,
    Entry,
    FileOffer,
    Manifest,
    digest_of,
)

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


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
        self._file = -1
        self._entry = -1
        try:
            entries = _list(self._root)
        except OSError as exc:
            raise ConfigError(f"cannot send {exc.filename or path}: {exc.strerror}") from exc
        is_directory = not entries or entries[0].path != ""
        offer = FileOffer(
            name=name if name is not None else (path.name or self._root.name),
            is_directory=is_directory,
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
            self._switch(block.entry)
            data = os.pread(self._file, block.size_bytes, block.offset)
            while 0 < len(data) < block.size_bytes:
                more = os.pread(self._file, block.size_bytes - len(data), block.offset + len(data))
                if not more:
                    break
                data += more
            now = os.fstat(self._file)
        except OSError as exc:
            raise self._changed(entry, exc.strerror) from exc
        if (now.st_size, now.st_mtime_ns) != (entry.size_bytes, entry.mtime_ns):
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
        if self._file >= 0:
            os.close(self._file)
        self._file = self._entry = -1

    def _was_another(self, number: int, digest: bytes) -> bool:
        return number < len(self.digests) and self.digests[number] != digest

    def _switch(self, entry: int) -> None:
        if self._entry != entry:
            self.close()
            path = self.manifest.entries[entry].path
            self._file = os.open(self._root / path if path else self._root, _FLAGS)
            self._entry = entry

    def _changed(self, entry: Entry, why: str | None = None) -> CallError:
        path = self._root / entry.path if entry.path else self._root
        return CallError(
            Code.FAILED_PRECONDITION,
            f"{path} changed while it was sent{f': {why}' if why else ''}; send it again",
        )


def _list(root: Path) -> list[Entry]:
    """One entry for a file; for a directory all that is in it, each below its directory."""
    found = root.stat()
    if stat.S_ISREG(found.st_mode):
        return [_entry("", found)]
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"cannot send {root}: it is no file and no directory")
    entries: list[Entry] = []
    waiting = [""]
    while waiting:
        below = waiting.pop()
        for item in sorted(os.scandir(root / below), key=lambda item: item.name):
            path = f"{below}/{item.name}" if below else item.name
            found = item.stat(follow_symlinks=False)
            if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
                raise ConfigError(
                    f"cannot send {root / path}: it is a link or a device; leave it out"
                )
            entries.append(_entry(path, found))
            if entries[-1].is_directory:
                waiting.append(path)
            if len(entries) > MAX_ENTRIES:
                raise ConfigError(
                    f"cannot send {root}: it has over {MAX_ENTRIES} entries; send parts of it, "
                    "or an archive"
                )
    return entries


def _entry(path: str, found: os.stat_result) -> Entry:
    is_directory = stat.S_ISDIR(found.st_mode)
    return Entry(
        path=path,
        size_bytes=0 if is_directory else found.st_size,
        mtime_ns=found.st_mtime_ns,
        is_directory=is_directory,
    )
