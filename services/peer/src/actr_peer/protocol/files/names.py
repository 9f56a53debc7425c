"""Sans-I/O: which names a receiver takes, and what it calls a file whose name is taken.

A name is one part of a path. It is taken when it is plain on every file system: what is refused
here is refused everywhere, so that what arrives does not depend on where (docs/files.md).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Container

from actr_peer.errors import CallError, Code

MAX_NAME_BYTES = 255
"""Of one name as UTF-8: what file systems take."""
MAX_PATH_BYTES = 1024
"""Of a path inside a directory."""
MAX_DEPTH = 32
"""Parts of a path inside a directory."""
HOLD = ".actr-receiving"
"""The one folder inside of a receiver's where all is that is not whole."""
MAX_NUMBER = 9999
"""Of the numbers that tell files of one name apart."""

_FORBIDDEN = frozenset('\\/:*?"<>|')
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"]
)
_UNSEEN = frozenset(["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"])
"""Unicode's categories of what is not seen: controls, marks that turn the direction, halves of
pairs, what nobody has defined, and ends of lines."""


def check_name(name: str, *, hidden: bool) -> None:
    """Hold one part of a path to the rule.

    Args:
        hidden: Whether a name may begin with a dot.

    Raises:
        CallError: INVALID_ARGUMENT, with what is wrong.
    """
    why = _why_not(name, hidden=hidden)
    if why:
        raise CallError(Code.INVALID_ARGUMENT, f"the name {name[:80]!r} is not taken here: {why}")


def _why_not(name: str, *, hidden: bool) -> str:
    if not name or name in (".", ".."):
        return "it names no file"
    unseen = {unicodedata.category(character) for character in name} & _UNSEEN
    if unseen:
        return "it has characters that are not seen"
    if len(name.encode()) > MAX_NAME_BYTES:
        return f"it is longer than {MAX_NAME_BYTES} bytes"
    if _FORBIDDEN & set(name):
        return f"it has one of {' '.join(sorted(_FORBIDDEN))}"
    if name.startswith(".") and not hidden:
        return "it is hidden"
    same = folded(name)
    if same == HOLD:
        return "what is half there is kept under it"
    if same in (".", "..") or "/" in same or "\\" in same:
        return "some systems take it for a path"
    if name != name.strip() or name.endswith("."):
        return "it begins or ends with a space, or ends with a dot"
    if name.partition(".")[0].strip().casefold() in _DEVICES:
        return "it is a device on some systems"
    return ""


def check_path(path: str, *, hidden: bool) -> tuple[str, ...]:
    """Hold a path inside a directory to the rule; return its parts.

    Raises:
        CallError: INVALID_ARGUMENT, with what is wrong.
    """
    parts = tuple(path.split("/"))
    for part in parts:
        check_name(part, hidden=hidden)
    check_length(path)
    return parts


def check_length(path: str) -> None:
    """Hold a path inside a directory to its bounds.

    Raises:
        CallError: INVALID_ARGUMENT.
    """
    if path.count("/") >= MAX_DEPTH or len(path.encode()) > MAX_PATH_BYTES:
        raise CallError(
            Code.INVALID_ARGUMENT,
            f"the path {path[:80]!r} is not taken here: over {MAX_DEPTH} parts "
            f"or {MAX_PATH_BYTES} bytes",
        )


def folded(name: str) -> str:
    """What two names have in common that some file system takes for one."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def numbered(name: str, taken: Container[str]) -> str:
    """``name``, or where that is taken ``name (2)``: a number before its ending.

    Args:
        taken: Names as :func:`folded` makes them.

    Raises:
        CallError: ALREADY_EXISTS, if too many of the name are there.
    """
    if folded(name) not in taken:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending) > 16:
        stem, dot, ending = name, "", ""
    for number in range(2, MAX_NUMBER + 1):
        tail = f" ({number}){dot}{ending}"
        found = _cut(stem, MAX_NAME_BYTES - len(tail.encode())) + tail
        if folded(found) not in taken:
            return found
    raise CallError(Code.ALREADY_EXISTS, f"{MAX_NUMBER} files named {name[:80]!r} are there")


def _cut(text: str, most_bytes: int) -> str:
    """As much of ``text`` as fits, in whole characters."""
    return text.encode()[:most_bytes].decode(errors="ignore").rstrip()
