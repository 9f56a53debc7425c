"""Generated modules that follow their ``.proto`` files: made anew where those are newer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from actr_peer.cli.codegen.compiler import generate_modules

_SOURCE: Final = re.compile(r"^# source: (.+\.proto)$", re.MULTILINE)
"""How protoc says in a module of which file it is, by the name that others import that by."""
HEAD_CHARACTERS: Final = 1000


def root_of(folder: Path, path: str) -> Path | None:
    """Where the imports of a contract begin, which is where its modules are written below: the
    folder that the modules beside it were generated from; without such, ``folder`` for a contract
    that is in it. None: it is not for ``actr dev`` to generate for it.

    Args:
        path: From ``folder``, ending in ``.proto``.
    """
    proto = folder / path
    with suppress(OSError, UnicodeDecodeError), _generated(proto).open(encoding="utf-8") as module:
        found = _SOURCE.search(module.read(HEAD_CHARACTERS))
        if found is not None:
            parts = Path(found[1]).parts
            return proto.parents[len(parts) - 1] if proto.parts[-len(parts) :] == parts else None
    return folder if os.sep not in path else None


def stale(folder: Path, paths: Iterable[str]) -> list[str]:
    """Contracts among ``paths`` whose generated modules are not there, or are older."""
    return [path for path in paths if path.endswith(".proto") and _is_stale(folder, path)]


def _is_stale(folder: Path, path: str) -> bool:
    if root_of(folder, path) is None:
        return False
    proto = folder / path
    try:
        return _generated(proto).stat().st_mtime_ns < proto.stat().st_mtime_ns
    except OSError:
        return proto.exists()


def _generated(proto: Path) -> Path:
    return proto.with_name(f"{proto.stem}_pb2.py")


def regenerate(folder: Path, paths: Iterable[str]) -> list[str]:
    """Generate what ``actr gen`` does where the imports of each contract begin; returns the paths
    of modules that are other than they were. A contract that is not ours is passed over.

    Raises:
        ConfigError: If a tool is missing, or a contract is refused; nothing is written of those
            with the same root then.
    """
    by_root: dict[Path, list[Path]] = {}
    for path in paths:
        root = root_of(folder, path)
        if root is not None:
            by_root.setdefault(root, []).append(folder / path)
    return [
        os.path.relpath(target, folder)
        for root, protos in sorted(by_root.items())
        for target in _write(root, generate_modules(protos, [root]))
    ]


def _write(root: Path, modules: dict[Path, str]) -> list[Path]:
    written = []
    for name, text in sorted(modules.items()):
        target = root / name
        if target.is_file() and target.read_text("utf-8") == text:
            os.utime(target)  # it is as new as its contract
        else:
            target.write_text(text, encoding="utf-8")
            written.append(target)
    return written
