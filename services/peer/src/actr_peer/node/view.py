"""What a node looks like from outside: frozen values for ``actr ps``, the demo, and tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from actr_peer.node.assembly import Assembly
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling.presence import Presence, SignalingState
from actr_peer.transport.link_view import LinkView


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


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A node at one moment."""

    id: ActrId
    incarnation: int
    """Random, of this start of the process; 64 bits."""
    is_ended: bool
    signaling: SignalingState
    server_id: str
    """The signaling service that it is registered at; empty while at none."""
    actors: tuple[Presence, ...]
    """This actor and those it has a link to, as signaling told of them, by id."""
    links: tuple[LinkView, ...]
    """Oldest first."""
    streams: StreamsView
    mailbox: MailboxView
    outbox: OutboxView

    def link(self, remote: ActrId) -> LinkView | None:
        """The link to ``remote``, if there is one."""
        return next((link for link in self.links if link.remote == remote), None)


def view_of(assembly: Assembly, *, is_ended: bool) -> NodeView:
    """Look at a node; it is in one turn of the loop, so all is of one moment."""
    mailbox, outbox = assembly.mailbox, assembly.durable.outbox
    links = assembly.transport.links()
    return NodeView(
        id=assembly.id,
        incarnation=assembly.incarnation,
        is_ended=is_ended,
        signaling=assembly.signaling.state,
        server_id=assembly.signaling.server_id,
        actors=tuple(_known(assembly, {link.remote for link in links})),
        links=tuple(link.view() for link in links),
        streams=StreamsView(
            open=assembly.streams.open_count, counts=asdict(assembly.streams.counts)
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
    )


def _known(assembly: Assembly, remotes: set[ActrId]) -> Iterator[Presence]:
    for actor in sorted({assembly.id, *remotes}):
        yield assembly.signaling.find(actor) or Presence(id=actor)
