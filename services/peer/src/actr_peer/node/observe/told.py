"""A node's view as the messages of ``actr.Inspection`` have it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from actr.services import inspection_pb2 as pb
from actr_peer.node.observe.changes import Change
from actr_peer.node.observe.view import (
    IdentityView,
    MailboxView,
    NodeView,
    StreamsView,
    TrackView,
    proof_of,
)
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.keys import key_id
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.mailbox.dead_letters import Letter
from actr_peer.transport.link_view import KindView, LaneView, LinkView

MAX_LINKS: Final = 512
"""Told in one view; of about 1 KB each."""
_MS: Final = 1000
_US: Final = 1_000_000
_MAX_U32: Final = (1 << 32) - 1


def told(view: NodeView) -> pb.ActorView:
    """How an actor stands, but for what depends on who asks and when."""
    return pb.ActorView(
        id=str(view.id),
        incarnation=f"{view.incarnation:016x}",
        signaling=view.signaling.value,
        server_id=view.server_id,
        identity=_identity(view.identity.by, view.identity.certificate),
        links=[_link(link, view.identity) for link in view.links[:MAX_LINKS]],
        link_count=len(view.links),
        mailbox=_mailbox(view.mailbox),
        outbox=pb.OutboxView(open=view.outbox.open, trouble=view.outbox.trouble),
        streams=_streams(view.streams),
        tracks=[_track(track) for track in view.tracks],
        refused=view.refused,
        failures=view.failures,
    )


def changes_told(changes: Iterable[Change]) -> list[pb.WireChange]:
    return [
        pb.WireChange(
            at_ms=round(change.at * _MS),
            remote=str(change.remote),
            kind=change.kind.value,
            state=change.state.name.lower(),
        )
        for change in changes
    ]


def letter_told(letter: Letter) -> pb.DeadLetter:
    return pb.DeadLetter(
        number=letter.sequence,
        sender=letter.sender,
        request_id=letter.request_id,
        payload_type=letter.payload_type.name,
        is_tell=letter.is_tell,
        route_key=letter.route_key,
        bytes=letter.size,
        reason=letter.reason,
        attempts=letter.attempts,
        crashes=letter.crashes,
        failures=letter.failures,
        last_error=letter.last_error,
        died_at_ms=round(letter.died_at * _MS),
        envelope=letter.envelope or b"",
    )


def _link(link: LinkView, own: IdentityView) -> pb.LinkView:
    return pb.LinkView(
        remote=str(link.remote),
        wires=[_wire(wire, link, own) for wire in link.wires],
        lanes=[_lane(lane, view) for lane, view in link.lanes.items()],
        trouble=link.trouble,
    )


def _wire(wire: KindView, link: LinkView, own: IdentityView) -> pb.WireView:
    said = pb.WireView(
        kind=wire.kind.value,
        state=wire.state.name.lower(),
        round_trip_us=_us(wire.rtt),
        is_relayed=wire.is_relayed,
        is_active=wire.kind is link.active,
        tries=wire.tries,
    )
    proof = proof_of(wire, own)
    if proof is not None:
        said.identity.CopyFrom(_identity(*proof))
    return said


def _lane(lane: PayloadType, view: LaneView) -> pb.LaneView:
    return pb.LaneView(
        lane=lane.name,
        sent=view.sent,
        received=view.received,
        resent=view.resent,
        duplicates=view.duplicates,
        dropped=view.dropped,
        queued=view.queued,
        sending_bytes=view.sending_bytes,
        receiving_bytes=view.receiving_bytes,
    )


def _us(seconds: float | None) -> int:
    return min(_MAX_U32, round((seconds or 0) * _US))


def _streams(streams: StreamsView) -> pb.StreamsView:
    halves = [
        pb.StreamView(
            remote=str(half.remote),
            channel=half.channel_id,
            route_key=half.route_key,
            lane=half.payload_type.name,
            is_outbound=half.is_outbound,
            items=half.items,
        )
        for half in streams.halves
    ]
    return pb.StreamsView(open=streams.open, counts=streams.counts, halves=halves)


def _track(track: TrackView) -> pb.TrackView:
    stats = track.stats
    return pb.TrackView(
        remote=str(track.remote),
        track_id=stats.track_id,
        kind=stats.kind,
        codec=stats.codec,
        is_outbound=stats.is_outbound,
        frames=stats.frames,
        bytes=stats.bytes,
        packets=stats.packets,
        lost=max(0, stats.lost),
        dropped=stats.dropped,
        jitter_us=_us(stats.jitter),
        round_trip_us=_us(stats.rtt if stats.rtt is not None else track.rtt),
    )


def _identity(by: str, certificate: Certificate | None) -> pb.IdentityView:
    if certificate is None:
        return pb.IdentityView(by=by)
    return pb.IdentityView(
        by=by,
        subject=certificate.subject,
        name=key_id(certificate.key),
        fingerprint=hashlib.sha256(certificate.key).hexdigest(),
        expires_at_ms=round(certificate.expires_at * _MS),
    )


def _mailbox(view: MailboxView) -> pb.MailboxView:
    return pb.MailboxView(
        depth=view.depth,
        waiting=view.waiting,
        dead=view.dead,
        trouble=view.trouble,
        counts=view.counts,
    )
