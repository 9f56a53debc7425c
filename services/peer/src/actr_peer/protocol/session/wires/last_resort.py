"""Sans-I/O: when a relayed wire is dialled, and when it is not needed any more.

It costs whoever runs signaling all that goes through it, and each message two ways more. So it is
dialled where there is no other wire, and none comes soon; and the session moves away from it, and
closes it, when a better one has proved itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.wires.policy import WireState, WireView

PATIENCE = 2.0
"""Seconds without another wire, while one may yet come, after which a relayed one is dialled."""


class LastResort:
    """Of one link.

    Attributes:
        due: From when a relayed wire may be dialled, seconds; inf: other wires are there.
    """

    __slots__ = ("_since", "due")

    def __init__(self) -> None:
        self.due = inf
        self._since: float | None = None
        """Since when no other wire is there."""

    def look(self, now: float, *, is_needed: bool, is_hoped_for: bool) -> None:
        """Take in how things stand.

        Args:
            is_needed: No wire of another kind is there.
            is_hoped_for: One is being dialled, or about to be, and has not failed.
        """
        if not is_needed:
            self._since, self.due = None, inf
            return
        if self._since is None:
            self._since = now
        self.due = self._since + PATIENCE if is_hoped_for else self._since


def unneeded(wires: Sequence[WireView], *, decides: bool) -> list[int]:
    """Ids of the relayed ones among ``wires``, once another one is trusted.

    Args:
        decides: Whether this side has the smaller ``ActrId``: the other one closes none.
    """
    if not decides:
        return []
    relayed = [view for view in wires if view.kind is WireKind.RELAYED]
    if any(v.state is WireState.READY and v.is_trusted for v in wires if v not in relayed):
        return [view.id for view in relayed]
    return []
