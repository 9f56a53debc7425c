"""What a node looks like from outside: frozen values, and the only ones that anybody reads.

``actr ps``, the service ``actr.Inspection``, metrics, the demo and tests have what they show from
here; what a part counts and this does not have, nobody sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from actr_peer.node.observe.durations import CallsView, DurationsView
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.media.frames import TrackStats
from actr_peer.protocol.payload import PayloadType, WireKind
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.signaling.presence import Presence, SignalingState
from actr_peer.transport.link_view import KindView, LaneView, LinkView, StreamView


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityView:
    """What proves who a node is, and who others are."""

    by: str
    """``certificate``, ``secret`` of the realm, or ``development``: nothing."""
    certificate: Certificate | None
    """The node's own, the newest one; None: it has none."""
    without: str
    """What stands for a far side that has shown no certificate: ``secret`` or ``development``."""
    now: float
    """Unix seconds, by the issuer's clock where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxView:
    """A mailbox at one moment."""

    path: str
    """Its file; empty: in memory."""
    depth: int
    """Requests queued or running."""
    capacity: int
    """Requests that may be."""
    age: float
    """Seconds since the oldest of them came, in this life of the process; 0: there is none."""
    waits: DurationsView
    """From a request's arrival to its handler's start."""
    waiting: int
    """Requests that wait for room, unacknowledged."""
    dead: int
    """Dead letters that are kept."""
    trouble: str
    """Why nothing new is taken; empty: it is."""
    counts: Mapping[str, int]
    """What happened since the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxView:
    """An outbox at one moment."""

    path: str
    open: int
    """Durable calls without a reply."""
    trouble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsView:
    """All streams of a node at one moment."""

    open: int
    """Halves that are open, of both directions, or hold something."""
    running: int
    """Handlers of streams that others have opened."""
    waiting: int
    """Openings that wait for their turn."""
    counts: Mapping[str, int]
    """What did not reach a reader since the start, and how often one held its writer up."""
    halves: tuple[StreamView, ...] = ()
    """The oldest of those that are open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackView:
    """A media track that a wire carries."""

    remote: ActrId
    stats: TrackStats
    rtt: float | None
    """Of the wire, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinksView:
    """What has become of links and wires since the start."""

    lanes: Mapping[PayloadType, LaneView]
    """What went by the lanes of links that are gone; those that are there have their own."""
    ended: Mapping[str, int]
    """Links that are gone, by the class of the error that ended them."""
    changes: Mapping[tuple[WireKind, WireState], int]
    """Changes of wires, of each kind into each state."""
    gaps: DurationsView
    """For which a link had no wire that works, after it had one."""
    broken: int
    """Links that are in such a gap now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A node at one moment."""

    id: ActrId
    incarnation: int
    """Random, of this start of the process; 64 bits."""
    versions: Mapping[str, str]
    """Of ``actr``, of ``python``, and of the ``session`` that it speaks with others."""
    started_at: float
    """When it was made, in Unix seconds."""
    looked_at: float
    """When this view was made, in Unix seconds by this machine's clock."""
    trust: str
    """What others have to prove: ``certificate``, ``secret``, or ``development``: nothing."""
    is_ended: bool
    identity: IdentityView
    signaling: SignalingState
    server_id: str
    """The signaling service that it is registered at; empty while at none."""
    refused: Mapping[str, int]
    """What was not believed, by the cause: actors that signaling named, and, with ``description``
    or ``wire`` before the cause, descriptions of WebRTC and far sides of WebSocket wires."""
    actors: tuple[Presence, ...]
    """This actor and those it has a link to, as signaling told of them, by id."""
    links: tuple[LinkView, ...]
    """Oldest first."""
    own_link: LinkView | None
    """To the own id, once it was asked for; it has no wires."""
    past: LinksView
    calls: tuple[CallsView, ...]
    """Those that have ended, of both sides."""
    calls_waiting: int
    """Calls to others without a reply."""
    streams: StreamsView
    mailbox: MailboxView
    outbox: OutboxView
    media: Mapping[str, Mapping[str, int]]
    """Frames that have come, their bytes and the key frames among them, by kind."""
    counts: Mapping[str, Mapping[str, int]]
    """What was refused, dropped or repeated, by the part that says so and by what it was."""
    failures: Mapping[str, int]
    """What failed and ended only what it concerned, by what that was; of the process."""
    tracks: tuple[TrackView, ...] = ()
    """Of both directions, by link."""

    def link(self, remote: ActrId) -> LinkView | None:
        """The link to ``remote``, if there is one."""
        return next((link for link in self.links if link.remote == remote), None)


_THERE = (WireState.READY, WireState.SUSPECT)
"""States of a wire whose far side is known."""


def proof_of(wire: KindView, own: IdentityView) -> tuple[str, Certificate | None] | None:
    """How the far side of a wire has proved itself, and by which certificate; None: there is none.

    Args:
        own: Of the node that has the wire.
    """
    if wire.state not in _THERE:
        return None
    return own.without if wire.certificate is None else "certificate", wire.certificate
