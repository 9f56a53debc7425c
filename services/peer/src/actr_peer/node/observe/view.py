"""What a node looks like from outside: frozen values for ``actr ps``, the demo, and tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from time import time
from typing import Final

from actr_peer.node.assembly import Assembly
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.media.frames import TrackStats
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.signaling.presence import Presence, SignalingState
from actr_peer.transport.link_view import KindView, LinkView, StreamView

MAX_HALVES: Final = 256
"""Halves of streams in one view."""
MAX_TRACKS: Final = 256
"""Media tracks in one view."""


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
    counts: Mapping[str, int]
    """What did not reach a reader, since the start."""
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
class NodeView:
    """A node at one moment."""

    id: ActrId
    incarnation: int
    """Random, of this start of the process; 64 bits."""
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
    streams: StreamsView
    mailbox: MailboxView
    outbox: OutboxView
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


def view_of(assembly: Assembly, *, is_ended: bool) -> NodeView:
    """Look at a node; it is in one turn of the loop, so all is of one moment."""
    mailbox, outbox = assembly.mailbox, assembly.durable.outbox
    links = assembly.transport.links()
    return NodeView(
        id=assembly.id,
        incarnation=assembly.incarnation,
        is_ended=is_ended,
        identity=_identity(assembly),
        signaling=assembly.signaling.state,
        server_id=assembly.signaling.server_id,
        refused=_refused(assembly),
        actors=tuple(_known(assembly, {link.remote for link in links})),
        links=tuple(link.view() for link in links),
        streams=StreamsView(
            open=assembly.streams.open_count,
            counts=asdict(assembly.streams.counts),
            halves=assembly.streams.view(MAX_HALVES),
        ),
        mailbox=MailboxView(
            path=str(assembly.config.mailbox_path or ""),
            depth=mailbox.depth,
            waiting=mailbox.waiting,
            dead=len(mailbox.letters),
            trouble=mailbox.state_file.trouble,
            counts=asdict(mailbox.counts),
        ),
        outbox=OutboxView(
            path=outbox.path,
            open=len(outbox.open_calls()),
            trouble=outbox.state_file.trouble,
        ),
        tracks=tuple(islice(_tracks(assembly, (link.remote for link in links)), MAX_TRACKS)),
    )


def _tracks(assembly: Assembly, remotes: Iterable[ActrId]) -> Iterator[TrackView]:
    for remote in remotes:
        tracks, rtt = assembly.network.media_stats(remote)
        for stats in tracks:
            yield TrackView(remote=remote, stats=stats, rtt=rtt)


def _identity(assembly: Assembly) -> IdentityView:
    own = assembly.network.credentials
    without = "development" if assembly.config.realm_secret is None else "secret"
    if own is None:
        return IdentityView(by=without, certificate=None, without=without, now=time())
    return IdentityView(by="certificate", certificate=own.own, without=without, now=own.clock.now())


def _known(assembly: Assembly, remotes: set[ActrId]) -> Iterator[Presence]:
    own = Presence(id=assembly.id, ws_address=assembly.network.websocket.address)
    for actor in sorted({assembly.id, *remotes}):
        unseen = own if actor == assembly.id else Presence(id=actor)
        yield assembly.signaling.find(actor) or unseen


def _refused(assembly: Assembly) -> dict[str, int]:
    """What was not believed, of all kinds."""
    network = assembly.network
    signed = network.signed.dropped if network.signed is not None else {}
    kinds = {"description": signed, "wire": network.websocket.refused}
    named = {f"{kind} {cause}": n for kind, counts in kinds.items() for cause, n in counts.items()}
    return {**network.signaling.refused, **named}
