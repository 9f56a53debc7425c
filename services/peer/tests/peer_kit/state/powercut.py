"""A disk for SQLite that forgets what was not synced when the power is cut.

Every write goes to the file as its readers see it and, until the file is synced, to a list. A cut
keeps what was synced and, of the list, what chance keeps: each write whole, half, or not at all.
The model is per file and knows no directories. WAL mode needs no shared memory here, for the
connection is the only one (``locking_mode=EXCLUSIVE``).
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import apsw

Image = dict[str, bytes]
"""File name to contents."""
_names = count(1)


class _File:
    """One file on the disk; SQLite's calls, in its spelling."""

    def __init__(self, disk: Disk, contents: bytes = b"") -> None:
        self._disk = disk
        self.seen = bytearray(contents)
        self.synced = bytearray(contents)
        self.unsynced: list[tuple[int, bytes | None]] = []
        """Offset and bytes of each write, or length and None of each truncation."""

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        return bytes(self.seen[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._disk.step()
        _write(self.seen, offset, bytes(data))
        self.unsynced.append((offset, bytes(data)))

    def xTruncate(self, length: int) -> None:  # noqa: N802
        self._disk.step()
        _write(self.seen, length, None)
        self.unsynced.append((length, None))

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.step()
        for offset, data in self.unsynced:
            _write(self.synced, offset, data)
        self.unsynced.clear()

    def xFileSize(self) -> int:  # noqa: N802
        return len(self.seen)

    def xLock(self, level: int) -> None:  # noqa: N802
        pass

    def xUnlock(self, level: int) -> None:  # noqa: N802
        pass

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, operation: int, pointer: int) -> bool:  # noqa: N802
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return 4096

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return 0

    def xClose(self) -> None:  # noqa: N802
        pass

    def after_cut(self, dice: random.Random) -> bytes:
        """What is there when the power is back."""
        left = bytearray(self.synced)
        for offset, data in self.unsynced:
            chance = dice.random()
            if chance < 0.45:
                _write(left, offset, data)
            elif chance < 0.55 and data is not None:
                _write(left, offset, data[: len(data) // 2])
        return bytes(left)


def _write(contents: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del contents[offset:]
        return
    if len(contents) < offset:
        contents.extend(bytes(offset - len(contents)))
    contents[offset : offset + len(data)] = data


class Disk(apsw.VFS):
    """A disk with the files of ``image``.

    Attributes:
        on_step: Called before every write and sync: the place to cut the power.
    """

    def __init__(self, image: Image | None = None) -> None:
        self.name = f"disk{next(_names)}"
        self.files = {name: _File(self, data) for name, data in (image or {}).items()}
        self.steps = 0
        self.on_step: Callable[[], None] = lambda: None
        super().__init__(self.name, "")

    def step(self) -> None:
        self.steps += 1
        self.on_step()

    def cut(self, dice: random.Random) -> Image:
        """The files as they are if the power fails now; this disk goes on."""
        return {name: file.after_cut(dice) for name, file in self.files.items()}

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802
        text = name.filename() if hasattr(name, "filename") else str(name or f"temp{next(_names)}")
        flags[1] = flags[0]
        return self.files.setdefault(text, _File(self))

    def xDelete(self, name: str, sync: bool) -> None:  # noqa: N802
        self.files.pop(name, None)

    def xAccess(self, name: str, flags: int) -> bool:  # noqa: N802
        return name in self.files

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name

    def connect(self, path: str) -> Connection:
        """The mailbox's connection factory."""
        return Connection(path, self.name)


class Connection:
    """An apsw connection that speaks as sqlite3's does, errors included."""

    def __init__(self, path: str, vfs: str) -> None:
        self._apsw = apsw.Connection(path, vfs=vfs)
        self._apsw.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()

    @property
    def in_transaction(self) -> bool:
        return bool(self._apsw.in_transaction)

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Any:
        try:
            return self._apsw.execute(sql, parameters)
        except apsw.Error as exc:
            error = sqlite3.OperationalError(str(exc))
            error.sqlite_errorcode = getattr(exc, "extendedresult")  # noqa: B009 - not in its stubs
            raise error from exc

    def set_progress_handler(self, progress_handler: Callable[[], bool] | None, /, n: int) -> None:
        self._apsw.set_progress_handler(progress_handler, max(1, n))

    def close(self) -> None:
        self._apsw.close(True)
