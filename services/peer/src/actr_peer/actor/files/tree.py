"""One file, or a directory with what is below it: opened and read through no link.

Each part of a path is opened below the one before it, so that a directory that becomes a link
while it is read leads nowhere else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from actr_peer.protocol.files.manifest import Block

_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_DIRECTORY = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY
_SELF = "."


class Tree:
    """A file or a directory; every method works on the disk and may take long.

    Attributes:
        is_directory: What it was when this was made.

    Raises:
        OSError: From every method, if something is not there, is a link or may not be read.
    """

    def __init__(self, root: Path) -> None:
        self.is_directory = stat.S_ISDIR(root.lstat().st_mode)
        self._root = root
        self._top = os.open(root, _DIRECTORY) if self.is_directory else -1
        self._file = -1
        self._path: str | None = None
        """Of the file that is open."""

    def items(self, below: str) -> Iterator[tuple[str, os.stat_result, bool]]:
        """What is in the directory ``below``, in order of names: name, status, may it be read."""
        folder = self._open(below or _SELF, _DIRECTORY)
        try:
            for name in sorted(os.listdir(folder)):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                yield name, found, os.access(name, os.R_OK, dir_fd=folder)
        finally:
            os.close(folder)

    def read(self, path: str, block: Block) -> tuple[bytes, os.stat_result]:
        """The bytes of a block, or those that are there, and the file's status after it."""
        if self._path != path:
            self._leave()
            self._file = self._open(path, _FILE)
            self._path = path
        data = read_at(self._file, block.size_bytes, block.offset)
        return data, os.fstat(self._file)

    def close(self) -> None:
        """Give its descriptors back; harmless when it is closed."""
        self._leave()
        if self._top >= 0:
            os.close(self._top)
        self._top = -1

    def _leave(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file, self._path = -1, None

    def _open(self, path: str, flags: int) -> int:
        if not self.is_directory:
            return os.open(self._root, flags)
        *above, name = path.split("/")
        folder = self._top
        try:
            for part in above:
                inner = os.open(part, _DIRECTORY, dir_fd=folder)
                if folder != self._top:
                    os.close(folder)
                folder = inner
            return os.open(name, flags, dir_fd=folder)
        finally:
            if folder != self._top:
                os.close(folder)


def read_at(file: int, size: int, offset: int) -> bytes:
    """So many bytes, or those that are there."""
    data = os.pread(file, size, offset)
    while 0 < len(data) < size:
        more = os.pread(file, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data
