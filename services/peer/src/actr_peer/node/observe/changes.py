"""What has become of the wires lately, for who looks in and for who waits for the next change."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import Final

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.wires.policy import WireState

REMEMBERED: Final = 256
"""Changes; older ones are forgotten."""


@dataclass(frozen=True, slots=True)
class Change:
    """A kind of wire to a remote has another state."""

    at: float
    """Unix seconds."""
    remote: ActrId
    kind: WireKind
    state: WireState


class Changes:
    """Owned by the assembly, which notes; any number may read.

    Args:
        clock: Unix seconds.

    Attributes:
        count: How many there were since the start.
    """

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self.count = 0
        self._clock = clock
        self._last: deque[Change] = deque(maxlen=REMEMBERED)
        self._noted = asyncio.Event()

    def note(self, remote: ActrId, kind: WireKind, state: WireState) -> None:
        self.count += 1
        self._last.append(Change(self._clock(), remote, kind, state))
        self._noted.set()
        self._noted = asyncio.Event()

    def since(self, count: int) -> tuple[Change, ...]:
        """What came behind the first ``count``, as far as it is remembered, oldest first."""
        news = min(self.count - count, len(self._last))
        return tuple(self._last)[len(self._last) - news :]

    async def until(self, count: int, seconds: float) -> None:
        """Return when there are more than ``count``, at the latest after ``seconds``."""
        if self.count > count:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._noted.wait()
        except TimeoutError:
            return
