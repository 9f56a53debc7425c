"""Which process of this machine listens on a port, as far as Linux tells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from actr_peer.state.file_lock import LOCK_SUFFIX, holder_of_lock

_PROCESSES: Final = Path("/proc")
_LISTENS: Final = "0A"
"""State of a listening socket in /proc/net/tcp (include/net/tcp_states.h)."""


def holder_of_port(port: int) -> str:
    """``acme:room@2:default (pid 71)``, or the command, of who listens on a TCP port; "": it is
    another user's, or nobody's.

    It reads ``/proc``, so it is for errors only.
    """
    wanted = {f"socket:[{inode}]" for inode in _listening(port)}
    for process in _processes() if wanted else ():
        links = set(_links(process))
        if links & wanted:
            return _name_of(process, links)
    return ""


def _listening(port: int) -> Iterator[str]:
    """Inodes of the sockets that listen on ``port``."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROCESSES / "net" / table).read_text("ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def _processes() -> Iterator[Path]:
    with suppress(OSError):
        yield from (each for each in _PROCESSES.iterdir() if each.name.isdecimal())


def _links(process: Path) -> Iterator[str]:
    """What a process has open, as far as this user may see it."""
    with suppress(OSError):
        for name in os.listdir(process / "fd"):
            with suppress(OSError):
                yield os.readlink(process / "fd" / name)


def _name_of(process: Path, links: set[str]) -> str:
    """The actor that a process runs, by its lock; else its command."""
    for link in links:
        holder = holder_of_lock(link) if link.endswith(LOCK_SUFFIX) else ""
        if holder.endswith(f"(pid {process.name})"):
            return holder
    with suppress(OSError):
        command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return f"{command.strip()[:80]!r} (pid {process.name})"
    return f"pid {process.name}"
