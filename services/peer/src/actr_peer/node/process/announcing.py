"""Where the actors of this machine are found that no configuration names.

Each process with a control socket has, for as long as that lasts, a symbolic link to it in one
folder of its user: ``actr`` in ``XDG_RUNTIME_DIR``, else ``actr-<uid>`` in the folder for temporary
files. It is a hint and no more: where it cannot be made nothing fails, and what it points to is
asked before it is believed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

MAX_ANNOUNCED: Final = 1024
"""That are looked at."""


def folder() -> Path:
    """Where this user's processes announce themselves."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime, "actr")
    return Path(tempfile.gettempdir(), f"actr-{os.getuid()}")


@contextmanager
def announced(socket: Path) -> Iterator[None]:
    """A block in which the actor behind ``socket`` is found by ``actr ps``."""
    name = hashlib.sha256(os.fsencode(socket.absolute())).hexdigest()[:32]
    link = folder() / name
    try:
        _make(link.parent)
        with suppress(FileNotFoundError):
            link.unlink()  # of a process that was killed
        link.symlink_to(socket.absolute())
    except OSError as exc:
        log.info("not announced: folder=%s cause=%s", link.parent, exc)
    try:
        yield
    finally:
        with suppress(OSError):
            if link.readlink() == socket.absolute():
                link.unlink()


def announced_sockets() -> list[Path]:
    """Where processes of this user answer, or did before they were killed; links that point to
    nothing are removed."""
    place, found = folder(), []
    if not _is_own(place):
        return []
    for link in sorted(place.iterdir())[:MAX_ANNOUNCED]:
        with suppress(OSError):
            target = link.readlink()
            if target.exists():
                found.append(target)
            else:
                link.unlink()
    return found


def _make(place: Path) -> None:
    """
    Raises:
        OSError: If it cannot be made, or is another user's: who could put there what is asked?
    """
    with suppress(FileExistsError):
        place.mkdir(mode=0o700)
    if not _is_own(place):
        raise PermissionError(f"{place} is not this user's alone")


def _is_own(place: Path) -> bool:
    try:
        found = place.lstat()
    except OSError:
        return False
    is_alone = not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and is_alone
