"""What an actor proves to a signaling service, and what it believes of what the service says."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from time import time

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.signaling.presence import Change, PresenceEvent, PresenceView
from actr_peer.protocol.signaling.reading import read_presence
from actr_peer.protocol.signaling.signed import SignedReader

log = logging.getLogger(__name__)

WRONG_SECONDS = 60.0
"""Between two clocks: what certificates bear."""


class Belief:
    """Reads what the service says of actors; counts whom nobody believes to be there.

    Args:
        told: Called with each of them, and why.
    """

    def __init__(self, certified: Certified | None, told: Callable[[ActrId, str], None]) -> None:
        self.refused: Counter[str] = Counter()
        """Actors that the service named and nobody believed, by the cause."""
        self._told = told
        self._now = time if certified is None else certified.now
        self._is_checking = certified is not None and certified.is_required
        self.read = read_presence
        if certified is not None and certified.is_required:
            self.read = SignedReader(certified.verify, self._refuse, certified.now)

    def greeted(self, time: float) -> None:
        """Compare the service's clock with the one here; it is never set by it."""
        ahead = time - self._now()
        if abs(ahead) > WRONG_SECONDS:
            side = "ahead of" if ahead > 0 else "behind"
            log.warning(
                "the clock of signaling is %.0f s %s this actor's: certificates are refused by one "
                "of the two; set the clock that is wrong",
                abs(ahead),
                side,
            )

    def applied(self, view: PresenceView, event: PresenceEvent) -> PresenceEvent | None:
        """Take an event into the view; returns what is to be told of it, None: nothing.

        Nobody signs that it has left: what is told of it is what was known, not what comes.
        """
        held = view.find(event.presence.id)
        if not view.apply(event):
            return None
        if self._is_checking and event.kind is Change.LEAVE and held is not None:
            return replace(event, presence=replace(held, epoch=event.presence.epoch))
        return event

    def _refuse(self, actor: ActrId, why: str) -> None:
        self.refused[why] += 1
        self._told(actor, why)
