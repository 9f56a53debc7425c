"""Which files below a folder have changed, by looking at them: that works on every file system,
shared and mounted ones too, and needs nothing that is not there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

SUFFIXES: Final = (".py", ".proto")
CONFIG: Final = "actr.toml"
MAX_FILES: Final = 20_000
"""Looked at; what is beyond them is not watched."""
SKIPPED: Final = frozenset({"__pycache__", "node_modules", "venv", "build", "dist"})

Stamps: TypeAlias = Mapping[str, tuple[int, int, int]]
"""Path from the folder, to when it was written, its size, and which file it is."""


def look(folder: Path) -> Stamps:
    """All that is watched as it is now; what cannot be read, hidden folders and environments of
    Python are left out, and links to folders are not followed."""
    found: dict[str, tuple[int, int, int]] = {}
    for path, status in _files(str(folder)):
        found[os.path.relpath(path, folder)] = (status.st_mtime_ns, status.st_size, status.st_ino)
        if len(found) >= MAX_FILES:
            break
    return found


def changed(before: Stamps, after: Stamps) -> tuple[str, ...]:
    """Paths that are new, other or gone, in order."""
    return tuple(sorted({path for path, _ in set(before.items()) ^ set(after.items())}))


def _files(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue  # it went meanwhile, or is not ours to read
        names = {entry.name for entry in listed}
        if "pyvenv.cfg" in names:
            continue
        for entry in listed:
            try:
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith(".") and entry.name not in SKIPPED:
                        waiting.append(entry.path)
                elif entry.name.endswith(SUFFIXES) or entry.name == CONFIG:
                    yield entry.path, entry.stat()
            except OSError:
                continue
