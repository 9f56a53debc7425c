"""What links report upwards, and what all links of one transport share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from actr_peer.errors import PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType, WireKind
from actr_peer.protocol.session.budget import Budget
from actr_peer.protocol.session.wire_policy import WireState
from actr_peer.tasks import Start
from actr_peer.transport.pool import Dialer
from actr_peer.wire.base import Wire

if TYPE_CHECKING:
    from actr_peer.transport.link import Link


class LinkSink(Protocol):
    """Who owns links hears from them here, on the event loop.

    A ``RemoteProtocolError`` or ``LimitError`` from ``message`` says that the far side broke the
    rules; the link is dropped. Raising anything else is a bug; it ends that link and nothing else.
    """

    def message(self, link: Link, payload_type: PayloadType, message: bytes, number: int) -> None:
        """A message arrived; RPC lanes: call ``link.acknowledge(payload_type, number)`` when it
        is stored."""

    def reset(self, link: Link, last_delivered: Mapping[PayloadType, int]) -> None:
        """The far process has restarted. What its predecessor had not acknowledged is sent again
        on RPC lanes, and dropped on stream lanes; the mapping has the last numbers of this
        side's frames that it acknowledged, -1 for none."""

    def gone(self, link: Link, error: PeerError) -> None:
        """The link is removed for good: pending calls fail."""

    def wire_changed(self, link: Link, kind: WireKind, state: WireState, wire: Wire | None) -> None:
        """A kind of wire has another state now, or another wire carries it: ``wire``, if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSetup:
    """What all links of one transport share."""

    self_id: ActrId
    dialers: Mapping[WireKind, Dialer]
    sink: LinkSink
    prefer: Sequence[WireKind]
    start: Start
    removed: Callable[[Link], None]
    """The link takes nothing more: the next message to its remote needs another."""
    in_use: Callable[[Link], bool]
    """Whether something above needs a link in which nothing happens."""
    incarnation: Callable[[], int]
    """A new one for each session."""
    budget: Budget
    """What all sessions together may hold for their far sides."""
    posted: Budget = field(default_factory=Budget)
    """What may wait in all of them for the far sides to acknowledge it."""
