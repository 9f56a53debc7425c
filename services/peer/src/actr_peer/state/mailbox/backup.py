"""Copies of a mailbox and its outbox, made while their peer runs or not; it changes neither."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from actr_peer.errors import ConfigError
from actr_peer.state.outbox.outbox import BESIDE
from actr_peer.state.storage.database import real_path

STEP_PAGES: Final = 1024
"""Copied between two words of how far it is: 4 MiB."""


@dataclass(frozen=True, slots=True)
class Copied:
    """One file, and its copy, which is whole."""

    file: Path
    copy: Path
    size: int
    """Bytes of the copy."""


def back_up(
    file: Path, copy: Path, told: Callable[[int, int], None] = lambda done, total: None
) -> list[Copied]:
    """Copy a mailbox, and then the outbox beside it where there is one, each as of one moment.

    The mailbox comes first: a call that a handler made, and that only the outbox's copy knows, is
    made again by the handler under the same id; the other way round it would be lost. A copy is
    one file without a log, synced, looked over, and takes its name when it is whole. The peer goes
    on meanwhile; its log grows by what it writes while a file is read.

    Args:
        told: Given the pages copied so far of all that there are now to copy, as it goes on.

    Raises:
        ConfigError: If ``file`` is no mailbox's, there is a file at the place of a copy, or a copy
            cannot be written; nothing of it is left then.
    """
    file = Path(real_path(str(file)))  # beside that is the outbox
    pairs = [(file, copy)]
    outbox = _beside(file)
    if outbox.exists():
        pairs.append((outbox, _beside(copy)))
    for _, wanted in pairs:
        if wanted.exists():
            raise ConfigError(f"{wanted} is there already: name a new file")
    copied: list[Copied] = []
    try:
        for one, wanted in pairs:
            copied.append(Copied(one, wanted, _copied(one, wanted, told)))
    except BaseException:
        for each in copied:  # the next try finds its places free
            each.copy.unlink(missing_ok=True)
        raise
    return copied


def _beside(file: Path) -> Path:
    return file.with_name(file.name + BESIDE)


def _copied(file: Path, copy: Path, told: Callable[[int, int], None]) -> int:
    """Make one copy; return its bytes."""
    if not file.is_file():
        raise ConfigError(f"no mailbox file {file}; say whose with --id, or name one with --file")
    try:
        # A folder of its own: what SQLite lays beside a file goes with it.
        with TemporaryDirectory(prefix=f".{copy.name}.", dir=copy.parent) as folder:
            part = Path(folder, copy.name)
            _fill(file, part, told)
            size = part.stat().st_size
            copy.touch(mode=0o600, exist_ok=False)  # a rename alone goes over what came meanwhile
            part.rename(copy)
        _sync(copy.parent)
    except (OSError, sqlite3.Error) as exc:
        raise ConfigError(f"{file} cannot be copied to {copy}: {exc}") from exc
    return size


def _fill(file: Path, part: Path, told: Callable[[int, int], None]) -> None:
    with (
        closing(_opened(file)) as source,
        closing(sqlite3.connect(part, isolation_level=None)) as target,
    ):
        source.execute("PRAGMA query_only=ON")
        # One moment, which holds up nobody who writes; else each commit would be a new start.
        source.execute("BEGIN")
        if not source.execute("PRAGMA user_version").fetchone()[0]:
            raise ConfigError(f"{file} is no mailbox file")
        source.backup(
            target, pages=STEP_PAGES, progress=lambda _, left, total: told(total - left, total)
        )
        target.execute("PRAGMA journal_mode=DELETE")  # as one file; who opens it has a log again
        (verdict,) = target.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise ConfigError(f"{file} is damaged: {verdict}")
    part.chmod(0o600)
    _sync(part)


def _opened(file: Path) -> sqlite3.Connection:
    where = f"{file.absolute().as_uri()}?mode=rw"  # its log, too, may be there to be read
    return sqlite3.connect(where, uri=True, isolation_level=None)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
