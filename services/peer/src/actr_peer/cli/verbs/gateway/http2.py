"""What Hypercorn's HTTP/2 lacks: a writer that waits while its reader's window is shut.

Its buffer of a stream wakes the writer each time that it is asked for the next bytes, also where
the window lets none of them go: so whoever asks for a long stream and opens no window has all of it
in this process's memory.
"""

from __future__ import annotations

from hypercorn.protocol import h2
from hypercorn.protocol.h2 import BUFFER_LOW_WATER, StreamBuffer


class HeldBuffer(StreamBuffer):
    """As its base, but the writer goes on when most of what was sent has left."""

    async def pop(self, max_length: int) -> bytes:
        """The next bytes, ``max_length`` of them at the most."""
        data = bytes(self.buffer[:max_length])
        del self.buffer[:max_length]
        if len(self.buffer) < BUFFER_LOW_WATER:
            await self._paused.set()
        if not self.buffer:
            await self._is_empty.set()
        return data


def hold_writers() -> None:
    """Have all connections of this process use it."""
    h2.StreamBuffer = HeldBuffer  # type: ignore[misc]
