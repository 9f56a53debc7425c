"""How long links were without a wire that works: from the loss of the last one to the next.

No clock here: seconds are given."""

from __future__ import annotations

from actr_peer.node.observe.durations import Durations
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.wires.policy import WireState


class Gaps:
    """Of all links of a node; owned by its changes.

    A wire that misses heartbeats works no more once it is suspect, which is when its link looks for
    another: what passed until then is not in a gap.
    """

    def __init__(self) -> None:
        self.durations = Durations()
        self._working: dict[ActrId, set[WireKind]] = {}
        self._since: dict[ActrId, float] = {}
        """When the last wire of a link was lost that has none now."""

    def __len__(self) -> int:
        """Links that have lost all their wires, and wait for one."""
        return len(self._since)

    def note(self, remote: ActrId, kind: WireKind, state: WireState, now: float) -> None:
        """A kind of wire to ``remote`` has another state."""
        working = self._working.setdefault(remote, set())
        if state is WireState.READY:
            working.add(kind)
            since = self._since.pop(remote, None)
            if since is not None:
                self.durations.add(now - since)
        elif kind in working:
            working.remove(kind)
            if not working:
                self._since[remote] = now

    def gone(self, remote: ActrId) -> None:
        """The link is gone: whoever calls it then waits for another one."""
        self._working.pop(remote, None)
        self._since.pop(remote, None)
