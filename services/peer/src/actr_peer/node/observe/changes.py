"""What has become of wires and links: lately, for who looks in and for who waits for the next
change; and since the start, in numbers."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, time
from typing import Final

from actr_peer.errors import PeerError
from actr_peer.node.observe.gaps import Gaps
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType, WireKind
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.transport.link_view import LaneView, LinkView

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
        watch: Seconds, by which gaps are measured.

    Attributes:
        count: How many there were since the start.
        by_state: The same, of each kind into each state.
        ended: Links that are gone, by the class of the error that ended them.
        lanes: What went by the lanes of those.
        gaps: How long links were without a wire.
    """

    def __init__(
        self, clock: Callable[[], float] = time, watch: Callable[[], float] = monotonic
    ) -> None:
        self.count = 0
        self.by_state: Counter[tuple[WireKind, WireState]] = Counter()
        self.ended: Counter[str] = Counter()
        self.lanes: dict[PayloadType, LaneView] = {}
        self.gaps = Gaps()
        self.began_at = clock()
        """Unix seconds: when its node was made."""
        self._clock, self._watch = clock, watch
        self._last: deque[Change] = deque(maxlen=REMEMBERED)
        self._noted = asyncio.Event()

    def note(self, remote: ActrId, kind: WireKind, state: WireState) -> None:
        self.count += 1
        self.by_state[kind, state] += 1
        self.gaps.note(remote, kind, state, self._watch())
        self._last.append(Change(self._clock(), remote, kind, state))
        self._noted.set()
        self._noted = asyncio.Event()

    def gone(self, link: LinkView, error: PeerError) -> None:
        """A link is gone: what it has counted stays."""
        self.ended[type(error).__name__] += 1
        self.gaps.gone(link.remote)
        for lane, view in link.lanes.items():
            before = self.lanes.get(lane)
            self.lanes[lane] = view.past() if before is None else before.plus(view.past())

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
