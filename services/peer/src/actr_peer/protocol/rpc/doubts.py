"""Sans-I/O: which actors were lost a moment ago, so that calls to a type ask others first.

Signaling shows an actor whose process was killed for half a minute more, and a link to it takes as
long to be given up. The first wire that breaks is a sign that comes at once. It is no proof: who is
in doubt is asked last, and not left out.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.wires.policy import WireState

DOUBTED_FOR: Final = 10.0
"""Seconds: then it is tried again, for it may have come back."""
MAX_DOUBTED: Final = 4096
"""Actors; the oldest doubt is dropped."""


class Doubts:
    """Actors in doubt; owned by the node. Times are the loop's, in seconds."""

    def __init__(self) -> None:
        self._since: OrderedDict[ActrId, float] = OrderedDict()
        self._ready: dict[ActrId, set[WireKind]] = {}
        """Kinds of wires that work, of actors that have a link."""

    def __len__(self) -> int:
        return len(self._since)

    def holds(self, remote: ActrId, now: float) -> bool:
        """Whether ``remote`` is in doubt."""
        since = self._since.get(remote)
        return since is not None and now - since < DOUBTED_FOR

    def is_newer(self, remote: ActrId, than: float) -> bool:
        """Whether a doubt began after this time."""
        since = self._since.get(remote)
        return since is not None and since > than

    def note(self, remote: ActrId, now: float) -> None:
        """It was lost, or could not be reached."""
        self._since[remote] = now
        self._since.move_to_end(remote)
        if len(self._since) > MAX_DOUBTED:
            self._since.popitem(last=False)

    def wire(self, remote: ActrId, kind: WireKind, state: WireState, now: float) -> None:
        """A kind of wire has another state: one that came up ends the doubt, and one that worked
        and does not begins it."""
        if state is WireState.READY:
            self._ready.setdefault(remote, set()).add(kind)
            self._since.pop(remote, None)
        elif kind in self._ready.get(remote, ()):
            self._ready[remote].discard(kind)
            self.note(remote, now)

    def gone(self, remote: ActrId) -> None:
        """Its link is gone; whether that is a loss, its owner says with :meth:`note`."""
        self._ready.pop(remote, None)
