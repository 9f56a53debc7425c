"""Looks at a node: makes its :class:`~actr_peer.node.observe.view.NodeView`."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from itertools import islice
from time import time
from types import MappingProxyType
from typing import Final

from actr_peer.node.assembly import Assembly
from actr_peer.node.observe.changes import Changes
from actr_peer.node.observe.counts import counts_of, refused
from actr_peer.node.observe.view import (
    IdentityView,
    LinksView,
    MailboxView,
    NodeView,
    OutboxView,
    StreamsView,
    TrackView,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.session.frames import VERSION as SESSION_VERSION
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.tasks import failures

MAX_HALVES: Final = 256
"""Halves of streams in one view."""
MAX_TRACKS: Final = 256
"""Media tracks in one view."""


def look(assembly: Assembly, *, is_ended: bool) -> NodeView:
    """Look at a node; it is in one turn of the loop, so all is of one moment."""
    links, own = assembly.transport.links(), assembly.transport.own_link()
    return NodeView(
        id=assembly.id,
        incarnation=assembly.incarnation,
        versions=_versions(),
        started_at=assembly.changes.began_at,
        looked_at=time(),
        trust=assembly.config.trust,
        is_ended=is_ended,
        identity=_identity(assembly),
        signaling=assembly.signaling.state,
        server_id=assembly.signaling.server_id,
        refused=refused(assembly),
        actors=tuple(_known(assembly, {link.remote for link in links})),
        links=tuple(link.view() for link in links),
        own_link=None if own is None else own.view(),
        past=_past(assembly.changes),
        calls=assembly.meter.calls(),
        calls_waiting=len(assembly.calls),
        streams=StreamsView(
            open=assembly.streams.open_count,
            running=len(assembly.stream_handlers),
            waiting=assembly.stream_handlers.waiting,
            counts=asdict(assembly.streams.counts),
            halves=assembly.streams.view(MAX_HALVES),
        ),
        mailbox=_mailbox(assembly),
        outbox=_outbox(assembly),
        media={kind: asdict(came) for kind, came in assembly.media_subscribers.came.items()},
        counts=counts_of(assembly),
        failures=dict(failures),
        tracks=tuple(islice(_tracks(assembly, (link.remote for link in links)), MAX_TRACKS)),
    )


@cache
def _versions() -> Mapping[str, str]:
    """Read from the disk when the first one looks."""
    return MappingProxyType(
        {
            "actr": version("actr-peer"),
            "python": platform.python_version(),
            "session": str(SESSION_VERSION),
        }
    )


def _past(changes: Changes) -> LinksView:
    return LinksView(
        lanes=dict(changes.lanes),
        ended=dict(changes.ended),
        changes=dict(changes.by_state),
        gaps=changes.gaps.durations.view(),
        broken=len(changes.gaps),
    )


def _mailbox(assembly: Assembly) -> MailboxView:
    mailbox, oldest = assembly.mailbox, assembly.scheduler.oldest
    came_at = None if oldest is None else oldest.arrived_at
    now = assembly.scheduler.loop.time() if came_at is not None else 0.0
    return MailboxView(
        path=str(assembly.config.mailbox_path or ""),
        depth=mailbox.depth,
        capacity=assembly.config.mailbox_capacity,
        age=0.0 if came_at is None else max(0.0, now - came_at),
        waits=assembly.meter.waits.view(),
        waiting=mailbox.waiting,
        dead=len(mailbox.letters),
        trouble=mailbox.state_file.trouble,
        counts={**asdict(mailbox.counts), "put_off": assembly.scheduler.deferred},
    )


def _outbox(assembly: Assembly) -> OutboxView:
    outbox = assembly.durable.outbox
    return OutboxView(
        path=outbox.path, open=len(outbox.open_calls()), trouble=outbox.state_file.trouble
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
