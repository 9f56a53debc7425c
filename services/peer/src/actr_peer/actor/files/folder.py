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
import threading
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from pathlib import Path

from actr_peer.actor.files.came import Came
from actr_peer.errors import BusyError, CallError, Code, ConfigError
from actr_peer.protocol.files.bounds import ExistingFile, Usage, is_stale
from actr_peer.protocol.files.manifest import Manifest
from actr_peer.protocol.files.names import HOLD, folded, numbered

DONE, NEW, OLD = ".done", ".new", ".old"
SIDECAR = "digests"
_NO_LINKS = frozenset([errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK])
_TAKEN = frozenset([errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR])


class Folder:
    """Where a receiver puts what comes; every method works on the disk and may take long.

    Raises:
        BusyError: If another receiver has it.
        ConfigError: If it cannot be made or written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hold = root / HOLD
        self._naming = threading.Lock()
        """Of two transfers that end at once, one chooses its name first."""
        try:
            root.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.hold.mkdir(mode=0o700)
            is_folder = stat.S_ISDIR(self.hold.lstat().st_mode)
        except OSError as exc:
            raise ConfigError(f"cannot receive into {root}: {exc.strerror}; name another") from exc
        if not is_folder or not os.access(self.hold, os.W_OK | os.X_OK):
            raise ConfigError(f"cannot receive into {root}: {HOLD} there is no folder of ours")
        if not os.access(root, os.W_OK | os.X_OK):
            raise ConfigError(f"cannot receive into {root}: it may not be written; name another")
        self._lock = _lock(self.hold)
        self._restore()

    def close(self) -> None:
        """Let others receive into it; harmless when it is closed."""
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    # How much is there

    def usage(self, without: Container[str]) -> Usage:
        """What is here, whole and partial, but for the transfers of these keys; what this module
        keeps beside them does not count."""
        used = _usage(entry for entry in os.scandir(self.root) if entry.name != HOLD)
        for entry in os.scandir(self.hold):
            if entry.name not in without and entry.is_dir(follow_symlinks=False):
                used += _held(Path(entry.path))
        return used

    def held_bytes(self, key: str) -> int:
        """What is here of one partial transfer."""
        return _held(self.hold / key).size_bytes

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
        new = path.with_suffix(NEW)
        with new.open("w", encoding="utf-8") as file:
            json.dump({"name": name, "digest": root.hex()}, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    def recorded(self, key: str) -> tuple[str, bytes] | None:
        """The name and digest of a transfer that ended well here once."""
        try:
            found = json.loads((self.hold / f"{key}{DONE}").read_text("utf-8"))
            return str(found["name"]), bytes.fromhex(found["digest"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def came(self, key: str, manifest: Manifest) -> Came | None:
        """A transfer that seems to be here whole; it is to be read over before it counts."""
        found = self.recorded(key)
        if found is None:
            return None
        name, root = found
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
        return Came(self.root / name, root, manifest)

    def forget(self, key: str) -> None:
        """Remove a partial transfer of what is here whole."""
        shutil.rmtree(self.hold / key, ignore_errors=True)

    def _restore(self) -> None:
        """Give a directory its name again, whose place another was to take when all ended."""
        for old in self.hold.glob(f"*{OLD}"):
            found = self.recorded(old.stem)
            if found is not None and not os.path.lexists(self.root / found[0]):
                with suppress(OSError):
                    old.rename(self.root / found[0])

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
            with self._naming:
                final = self._name(name, existing, is_directory=is_directory)
                told(final)
                path = self.root / final
                try:
                    if existing is ExistingFile.REPLACE and os.path.lexists(path):
                        self._replace(made, path)
                    else:
                        _claim(made, path, is_directory=is_directory)
                except FileExistsError:
                    continue  # another process was faster
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
        old = self.hold / f"{made.parent.name}{OLD}"
        _remove(old)
        path.rename(old)
        try:
            _claim(made, path, is_directory=True)
        except OSError:
            old.rename(path)
            raise
        _remove(old)


def _lock(hold: Path) -> int:
    """Have a folder to oneself, until the descriptor is closed.

    Raises:
        BusyError: If another has it.
    """
    import fcntl

    number = os.open(hold, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(number)
        raise BusyError(
            f"another receiver has {hold.parent}; name another folder, or end that one"
        ) from exc
    return number


def _claim(made: Path, path: Path, *, is_directory: bool) -> None:
    """Give what is made a name that nothing has; as one step where the file system has links.

    Raises:
        FileExistsError: If something has it.
    """
    try:
        if is_directory:
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, "it is there already", str(path))
            made.rename(path)  # takes the place of nothing, or of a directory without content
            return
        os.link(made, path)
    except OSError as exc:
        if exc.errno in _TAKEN:
            raise FileExistsError(errno.EEXIST, "it is there already", str(path)) from exc
        if is_directory or exc.errno not in _NO_LINKS:
            raise
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        made.replace(path)
    else:
        made.unlink()


def _usage(entries: Iterable[os.DirEntry[str]]) -> Usage:
    """Of all these, and what is below them."""
    size = files = 0
    waiting = list(entries)
    while waiting:
        entry = waiting.pop()
        files += 1
        with suppress(FileNotFoundError):  # it went meanwhile
            if entry.is_dir(follow_symlinks=False):
                waiting += os.scandir(entry.path)
            else:
                size += entry.stat(follow_symlinks=False).st_size
    return Usage(size, files)


def _held(partial: Path) -> Usage:
    """Of a partial transfer, or what waits there to be removed."""
    with suppress(FileNotFoundError):
        return _usage(entry for entry in os.scandir(partial) if entry.name != SIDECAR)
    return Usage()


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
