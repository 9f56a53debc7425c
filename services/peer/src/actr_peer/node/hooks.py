"""What a workload may want to hear besides requests.

A workload has any of the methods of :class:`Hooks`, by deriving from it or just by having
them. A hook that fails is logged and isolated, except ``on_start``, which fails the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actr_peer.node.sinks import LinkEvent, RefusalEvent, WireEvent
from actr_peer.protocol.mailbox.requests import Pressure
from actr_peer.protocol.signaling.presence import PresenceEvent, SignalingState

if TYPE_CHECKING:
    from actr_peer.node.ref import ActrRef

__all__ = ["Hooks", "LinkEvent", "RefusalEvent", "WireEvent"]


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

    async def on_refusal(self, event: RefusalEvent) -> None:
        """Something said to be of a remote is not believed, and was dropped."""

    async def on_pressure(self, pressure: Pressure) -> None:
        """The mailbox became full, or has room again."""
