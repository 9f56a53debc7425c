"""The lock beside a state file: one process at a time, and who it is."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final
from weakref import WeakSet

from actr_peer.errors import BusyError, ConfigError
from actr_peer.state.folder import make_state_folder

LOCK_SUFFIX: Final = "-lock"
"""Of the file beside a state file that is locked while that is in use; its holder writes its name
into it."""
MAX_NOTE_BYTES: Final = 512

_locks: WeakSet[FileLock] = WeakSet()
"""Those that are taken, or were."""


class FileLock:
    """One process at a time on one state file; the lock dies with its holder.

    Args:
        owner: Who takes it, for those who come too late.

    A forked child shares the open file, and with it the lock: it would keep the actor from
    starting again for as long as it lives. So the child closes its copy (:func:`_let_go_in_child`).

    Raises:
        BusyError: From :meth:`take`, if another process holds it.
        ConfigError: From :meth:`take`, if its folder cannot be written.
    """

    def __init__(self, path: str, owner: str = "") -> None:
        self._state_file = path
        self._path = path + LOCK_SUFFIX
        self._owner = owner
        self._file: int | None = None

    def take(self) -> None:
        import fcntl

        try:
            make_state_folder(Path(self._path))
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError as exc:
            raise ConfigError(
                f"mailbox.path: the folder {os.path.dirname(self._path)} does not exist; make it, "
                "or name another file (--mailbox, ACTR_MAILBOX__PATH)"
            ) from exc
        except OSError as exc:
            raise ConfigError(
                f"state file {self._path}: {exc.strerror}; let this user write there, or name "
                "another file in ACTR_MAILBOX__PATH"
            ) from exc
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(file)
            holder = holder_of_lock(self._path) or "another process"
            raise BusyError(
                f"{self._state_file} is in use by {holder}: one actor, one process; stop that one, "
                "or give this one another id (--id, ACTR_ACTOR__ID) or file"
            ) from exc
        with suppress(OSError):  # a full disk: the lock holds, and does not say who has it
            os.ftruncate(file, 0)
            os.pwrite(file, note_of(self._owner), 0)
        self._file = file
        _locks.add(self)

    def release(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                os.close(self._file)
            self._file = None


def _let_go_in_child() -> None:
    """In a forked child: the lock stays with the parent, and ends with it."""
    for lock in tuple(_locks):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)


def note_of(owner: str) -> bytes:
    """What a holder writes into its lock file: its process id, and its name."""
    return f"{os.getpid()} {owner}\n".encode()[:MAX_NOTE_BYTES]


def holder_of_lock(path: str) -> str:
    """``acme:room@2:default (pid 71)``, who has the lock file; "": it does not say."""
    pid, owner = _note_in(path)
    return f"{owner or 'a process'} (pid {pid})" if pid.isdecimal() else ""


def owner_of_lock(path: str) -> str:
    """``acme:room@2:default``, who has the lock file, or had it last; "": it does not say."""
    return _note_in(path)[1]


def _note_in(path: str) -> tuple[str, str]:
    """Process id and name."""
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_NOTE_BYTES).decode(errors="replace").strip()
    except OSError:
        return "", ""
    pid, _, owner = text.partition(" ")
    return pid, owner
