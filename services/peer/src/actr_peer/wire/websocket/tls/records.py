"""TLS of one connection as records: as few as fit what a turn of the loop writes.

A record costs a microsecond on either side, whatever it holds, and holds 16 KiB. What is written
first in a turn goes at once; what follows in the same turn waits for its end, or for a whole
record, and so is that of a long burst: no message waits for a time, or for another message.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from typing import Any, cast

RECORD_BYTES = 16 * 1024
"""Of plain text (RFC 8446, section 5.1)."""


class Records:
    """Plain text on one side, and on the other what OpenSSL has read and is to be sent.

    Args:
        tls: Of which the handshake may still be going on; nothing is written or read until then.
        incoming: What has come, as it came.
        outgoing: What is to be sent.
    """

    __slots__ = ("_held", "_incoming", "_outgoing", "_pending", "_read", "_write")

    def __init__(
        self, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._held = bytearray()
        # So it is with a buffer.
        self._read = cast("Callable[[int, memoryview], int]", tls.read)
        self._write, self._pending = tls.write, tls.pending

    @property
    def unsent(self) -> int:
        """Bytes that wait here."""
        return len(self._held) + self._outgoing.pending

    @property
    def unread(self) -> int:
        """Whether something waits to be read, more than 0; not how much of it is plain text."""
        return self._incoming.pending or self._pending()

    def write(self, parts: Iterable[Any]) -> None:
        """Take parts of a stream, and make whole records of it.

        Raises:
            SSLError: If TLS cannot go on.
        """
        for part in parts:
            size, held = len(part), self._held
            if len(held) + size < RECORD_BYTES:
                held += part
                continue
            view, at = memoryview(part), 0
            if held:
                at = RECORD_BYTES - len(held)
                held += view[:at]
                self.end()
            if until := (size - at) // RECORD_BYTES * RECORD_BYTES:
                self._write(view[at : at + until])
            self._held += view[at + until :]

    def end(self) -> None:
        """Make a record of what is left.

        Raises:
            SSLError: If TLS cannot go on.
        """
        if self._held:
            self._write(self._held)
            self._held = bytearray()

    def read(self, room: memoryview) -> tuple[int, bool]:
        """Fill ``room``: how much of it, and whether the far side has said that it ends.

        Raises:
            SSLError: If what came is not what was sent.
        """
        size = self._read_one(room) if self.unread else None
        if not size:
            return 0, size == 0
        # At most a record at once, and so not the whole room.
        while size < len(room) and self._incoming.pending:
            got = self._read_one(room[size:])
            if not got:
                return size, got == 0
            size += got
        return size, False

    def _read_one(self, room: memoryview) -> int | None:
        """How much of it; None: no whole record has come."""
        try:
            return self._read(len(room), room)
        except ssl.SSLWantReadError:
            return None
