"""Small files: written whole, for their user alone, and read again where others change them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from actr_peer.errors import ConfigError
from actr_peer.state.folder import make_state_folder

T = TypeVar("T")

MAX_FILE_BYTES = 64 * 1024
OWNER_ONLY = 0o600


def read_text(path: Path, key: str, most: int = MAX_FILE_BYTES) -> str | None:
    """The text of a file; None: there is none.

    Args:
        key: The setting that names it.
        most: Bytes that it may have.

    Raises:
        ConfigError: If it cannot be read, or is too long, or no text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise ConfigError(f"{key} = {str(path)!r}: over {most} bytes")
        return data.decode("utf-8")
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ConfigError(
            f"{key} = {str(path)!r}: {exc.strerror}; name a file that can be read"
        ) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{key} = {str(path)!r}: must be text in UTF-8") from exc


def write_whole(path: Path, data: bytes, *, replace: bool) -> bool:
    """Write a file that only its user reads, and have it on the disk; whole, or not at all.

    Returns whether it was written: not, where one is there and is not to be replaced.

    Raises:
        OSError: If it cannot be.
    """
    make_state_folder(path)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            beside.replace(path)
        else:
            path.hardlink_to(beside)
    except FileExistsError:
        return False
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
    sync_folder(path.parent)
    return True


def sync_folder(path: Path) -> None:
    """Have the names in a folder on the disk.

    Raises:
        OSError: If it cannot be.
    """
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Watched(Generic[T]):
    """What a file says now. It is looked at each time, and read where it has changed.

    Args:
        read: Makes something of its text; raises ConfigError.
        key: The setting that names the file.
        trouble: Told once for each change that cannot be read: what it said before stays.
        most: Bytes that it may have.

    Raises:
        ConfigError: If it is not there or cannot be read now.
    """

    def __init__(
        self,
        path: Path,
        key: str,
        read: Callable[[str], T],
        trouble: Callable[[ConfigError], None],
        most: int = MAX_FILE_BYTES,
    ) -> None:
        self._path, self._key, self._read, self._trouble = path, key, read, trouble
        self._most = most
        self._seen = self._mark()
        self._value = self._now()

    @property
    def value(self) -> T:
        mark = self._mark()
        if mark != self._seen:
            self._seen = mark
            try:
                self._value = self._now()
            except ConfigError as exc:
                self._trouble(exc)
        return self._value

    def _now(self) -> T:
        text = read_text(self._path, self._key, self._most)
        if text is None:
            raise ConfigError(f"{self._key} = {str(self._path)!r}: no such file")
        try:
            return self._read(text)
        except ConfigError as exc:
            raise ConfigError(f"{self._key} = {str(self._path)!r}: {exc}") from exc

    def _mark(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return found.st_mtime_ns, found.st_size, found.st_ino
