"""What a workload may want to hear besides requests.

A workload has any of the methods of :class:`Hooks`, by deriving from it or just by having
them. A hook that fails is logged and isolated, except ``on_start``, which fails the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.mailbox.requests import Pressure
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.signaling.presence import PresenceEvent, SignalingState

if TYPE_CHECKING:
    from actr_peer.node.ref import ActrRef

MAX_EVENTS = 1024
"""Events that wait for slow hooks; more drop the oldest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WireEvent:
    """A wire to ``remote`` changed."""

    remote: ActrId
    kind: WireKind
    state: WireState
    is_relayed: bool
    """True where a TURN server is between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEvent:
    """Something happened to all that concerns one remote."""

    class Kind(Enum):
        RESET = "reset"
        """The far process restarted; open streams ended."""
        GONE = "gone"
        """No wire is left; pending calls failed."""

    remote: ActrId
    kind: Kind
    detail: str


class Hooks:
    """All hooks, doing nothing."""

    async def on_start(self, ref: ActrRef) -> None:
        """Before the actor registers; an exception fails the start."""

    async def on_ready(self, ref: ActrRef) -> None:
        """Registered, and requests run."""

    async def on_stop(self) -> None:
        """No request runs any more; wires still are open."""

    async def on_error(self, error: BaseException) -> None:
        """A handler failed in a way that it did not mean to."""

    async def on_signaling(self, state: SignalingState) -> None:
        """The connection to the signaling service changed."""

    async def on_wire(self, event: WireEvent) -> None:
        """A wire opened, became suspect, or failed."""

    async def on_link(self, event: LinkEvent) -> None:
        """A remote restarted or is gone."""

    async def on_presence(self, event: PresenceEvent) -> None:
        """An actor of the realm came, changed or left."""

    async def on_pressure(self, pressure: Pressure) -> None:
        """The mailbox became full, or has room again."""
