"""Sans-I/O: which actor of a type is asked, and whether another is when one is lost.

A call to a type is made at one actor. Where nothing of it has left this process, or the callee
refused it before it was kept, another one is asked. Where it may have run, another one is asked
only if the contract says that to run it twice is as good as once; else the caller is told.
:data:`STEPS` is all of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Final

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling.presence import Presence


class Fate(Enum):
    """What became of one try."""

    UNSENT = auto()
    """Nothing of it has left: no wire came up, or its link was gone before; or the callee closes,
    and has begun nothing of it."""
    REFUSED = auto()
    """The callee did not take it: it was neither kept nor run."""
    SILENT = auto()
    """It was sent, and no wire to the callee works any more; it may yet be answered."""
    LOST = auto()
    """It was sent, and the callee is gone without an answer."""
    BEGUN = auto()
    """The callee is gone, after an item of the stream went one way or the other."""
    ANSWERED = auto()
    """With an error of its own; or its time is over."""


class Step(Enum):
    """What follows."""

    ANOTHER = auto()
    """Ask another actor."""
    WAIT = auto()
    """Go on waiting for this one."""
    TELL = auto()
    """Tell the caller that it may have run."""
    RAISE = auto()
    """Tell the caller the error as it is."""


STEPS: Final[dict[tuple[Fate, bool], Step]] = {
    (Fate.UNSENT, False): Step.ANOTHER,
    (Fate.UNSENT, True): Step.ANOTHER,
    (Fate.REFUSED, False): Step.ANOTHER,
    (Fate.REFUSED, True): Step.ANOTHER,
    (Fate.SILENT, False): Step.WAIT,
    (Fate.SILENT, True): Step.ANOTHER,
    (Fate.LOST, False): Step.TELL,
    (Fate.LOST, True): Step.ANOTHER,
    (Fate.BEGUN, False): Step.RAISE,
    (Fate.BEGUN, True): Step.RAISE,
    (Fate.ANSWERED, False): Step.RAISE,
    (Fate.ANSWERED, True): Step.RAISE,
}
"""By what became of a try, and whether the method is idempotent."""


class Fit(Enum):
    """How an actor's contract of a service compares to the caller's; best first."""

    SAME = 0
    OTHER = 1
    """It has another fingerprint: mostly one that gained something."""
    NONE = 2
    """It does not say that it has the service at all."""


def fit_of(presence: Presence, service: str, fingerprint: str) -> Fit:
    """How the contract of an actor fits; with no fingerprint of the caller's own, any is the same.

    Args:
        service: ``package.Service``.
    """
    for name, known in presence.services:
        if name == service:
            return Fit.SAME if fingerprint in ("", known) else Fit.OTHER
    return Fit.NONE


def rank(
    found: Iterable[Presence],
    *,
    service: str,
    fingerprint: str,
    is_doubtful: Callable[[ActrId], bool],
) -> list[Presence]:
    """The same actors, best first.

    In this order: who has not just been lost; whose contract fits; the order of ``found``.

    Args:
        found: As signaling tells them: by load, or in the order that a key gives.
    """
    return sorted(
        found,
        key=lambda each: (is_doubtful(each.id), fit_of(each, service, fingerprint).value),
    )


class Tries:
    """The tries of one call.

    Args:
        is_idempotent: As the contract says of the method.
        own: Who calls: it is never asked.
    """

    def __init__(self, own: ActrId, *, is_idempotent: bool) -> None:
        self.is_idempotent = is_idempotent
        self.may_have_run = False
        """One of them may have."""
        self.left_out: set[ActrId] = {own}
        """Who is not asked any more."""

    @property
    def count(self) -> int:
        """Actors at which a try has ended."""
        return len(self.left_out) - 1

    def ended(self, callee: ActrId, fate: Fate) -> Step:
        """Say what follows from what became of the try at ``callee``.

        Once one may have run, there is no other of a method that is not idempotent.
        """
        step = STEPS[fate, self.is_idempotent]
        if step is Step.WAIT:
            return step
        self.left_out.add(callee)
        if fate not in (Fate.UNSENT, Fate.REFUSED):
            self.may_have_run = True
        return step
