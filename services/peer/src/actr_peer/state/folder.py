"""The folder in which actors keep what they keep, where nobody has named another: ``.actr``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

STATE_FOLDER: Final = ".actr"


def make_state_folder(path: Path) -> None:
    """Make the folder of a file that is to be in ``.actr``, for its user alone; not any other: a
    path that is mistyped is to be told, not made.

    Raises:
        OSError: If it cannot be made.
    """
    root = next((each for each in path.parents if each.name == STATE_FOLDER), None)
    if root is None or path.parent.is_dir():
        return
    if not root.is_dir():
        root.mkdir(mode=0o700, exist_ok=True)  # several actors start at once
        with suppress(OSError):  # what actors keep is nothing to commit
            (root / ".gitignore").write_text("*\n", encoding="utf-8")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
