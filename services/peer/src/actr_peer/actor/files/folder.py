"""A receiver's folder: what is in it, what is half there, and how a name appears in it.

All that is not whole is in one hidden folder inside of it, of which no name that arrives can be
a part: ``.actr-receiving/<key>`` is a partial transfer, ``<key>.done`` what became of one. A
transfer becomes one name of the folder, at once and as a whole.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable, Container
from contextlib import suppress
from pathlib import Path

from actr_peer.errors import CallError, Code, ConfigError
from actr_peer.protocol.files.bounds import ExistingFile, Usage, is_stale
from actr_peer.protocol.files.manifest import Manifest
from actr_peer.protocol.files.names import folded, numbered

HOLD = ".actr-receiving"
DONE = ".done"
_NO_LINKS = frozenset([errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])


class Folder:
    """Where a receiver puts what comes; every method works on the disk and may take long.

    Raises:
        ConfigError: If it cannot be made or written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hold = root / HOLD
        try:
            root.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.hold.mkdir(mode=0o700)
            is_folder = stat.S_ISDIR(self.hold.lstat().st_mode)
        except OSError as exc:
            raise ConfigError(f"cannot receive into {root}: {exc.strerror}; name another") from exc
        if not is_folder or not os.access(self.hold, os.W_OK | os.X_OK):
            raise ConfigError(f"cannot receive into {root}: {HOLD} there is no folder of ours")

    # How much is there

    def usage(self, without: Container[str]) -> Usage:
        """What is here, whole and partial, but for the transfers of these keys."""
        used = Usage()
        for entry in os.scandir(self.root):
            if entry.name != HOLD:
                used += _usage(entry)
        for entry in os.scandir(self.hold):
            if entry.name not in without:
                used += _usage(entry)
        return used

    def held_bytes(self, key: str) -> int:
        """What is here of one partial transfer."""
        with suppress(OSError):
            return sum(_usage(entry).size_bytes for entry in os.scandir(self.hold / key))
        return 0

    def free_bytes(self) -> int:
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    def clean(self, active: Container[str], *, now: float, keep_seconds: float) -> int:
        """Remove what has waited for too long; return how much that was.

        Args:
            now: Seconds since 1970.
        """
        removed = 0
        for entry in os.scandir(self.hold):
            key = entry.name.removesuffix(DONE)
            with suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    inside = [item.stat(follow_symlinks=False) for item in os.scandir(entry.path)]
                else:
                    inside = []
                times = [entry.stat(follow_symlinks=False), *inside]
                age = now - max(item.st_mtime for item in times)
                if key not in active and is_stale(age_seconds=age, keep_seconds=keep_seconds):
                    _remove(Path(entry.path))
                    removed += 1
        return removed

    # What came whole

    def record(self, key: str, name: str, root: bytes) -> None:
        """Write down what a transfer is called, before it is."""
        path = self.hold / f"{key}{DONE}"
        new = path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump({"name": name, "digest": root.hex()}, file)
        new.replace(path)

    def came(self, key: str, manifest: Manifest) -> tuple[str, bytes] | None:
        """The name and digest of a transfer that is here whole, as its sender has it now."""
        try:
            found = json.loads((self.hold / f"{key}{DONE}").read_text("utf-8"))
            name, root = str(found["name"]), bytes.fromhex(found["digest"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        for entry in manifest.entries:
            try:
                there = (self.root / name / entry.path).lstat()
            except OSError:
                return None
            if entry.is_directory:
                is_equal = stat.S_ISDIR(there.st_mode)
            else:
                same = (there.st_size, there.st_mtime_ns) == (entry.size_bytes, entry.mtime_ns)
                is_equal = stat.S_ISREG(there.st_mode) and same
            if not is_equal:
                return None
        return name, root

    # How a name appears

    def check(self, name: str, existing: ExistingFile) -> None:
        """Whether a transfer of this name could end well, as things are now.

        Raises:
            CallError: ALREADY_EXISTS.
        """
        self._name(name, existing, is_directory=None)

    def place(
        self, made: Path, name: str, existing: ExistingFile, *, told: Callable[[str], None]
    ) -> str:
        """Let what is ``made`` in here appear under ``name``, or by the rule another; return it.

        Args:
            told: Told of the name before it is there.

        Raises:
            CallError: ALREADY_EXISTS, by the rule; nothing has changed.
        """
        is_directory = made.is_dir()
        while True:
            final = self._name(name, existing, is_directory=is_directory)
            told(final)
            path = self.root / final
            try:
                if existing is ExistingFile.REPLACE and os.path.lexists(path):
                    self._replace(made, path)
                elif is_directory:
                    path.mkdir()  # claims the name: of two, one fails
                    made.rename(path)
                else:
                    _claim(made, path)
            except FileExistsError:
                continue  # somebody was faster
            _sync(self.root)
            return final

    def _name(self, name: str, existing: ExistingFile, *, is_directory: bool | None) -> str:
        there = set(os.listdir(self.root))
        taken = {folded(each) for each in there}
        if existing is ExistingFile.NUMBER:
            return numbered(name, taken)
        if folded(name) not in taken:
            return name
        if existing is ExistingFile.REPLACE and name in there:
            mode = (self.root / name).lstat().st_mode
            if is_directory is None or stat.S_ISDIR(mode) == is_directory:
                return name
        raise CallError(Code.ALREADY_EXISTS, f"{name!r} is there already")

    def _replace(self, made: Path, path: Path) -> None:
        if not made.is_dir():
            made.replace(path)
            return
        old = self.hold / f"{made.parent.name}.old"
        _remove(old)
        path.rename(old)
        made.rename(path)
        _remove(old)


def _claim(made: Path, path: Path) -> None:
    """Give a file a name that nothing has; as one step where the file system has links."""
    try:
        os.link(made, path)
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        made.replace(path)
    else:
        made.unlink()


def _usage(entry: os.DirEntry[str]) -> Usage:
    try:
        if not entry.is_dir(follow_symlinks=False):
            return Usage(entry.stat(follow_symlinks=False).st_size, 1)
        used = Usage()
        for inner in os.scandir(entry.path):
            used += _usage(inner)
    except FileNotFoundError:  # it went meanwhile
        return Usage()
    return used


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
