"""What a running peer tells ``actr ps``: one JSON document, made on demand."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict
from typing import Any

from actr_peer.node.node import Node
from actr_peer.node.observe.durations import CallsView, DurationsView
from actr_peer.node.observe.view import LinksView, NodeView, TrackView, proof_of
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.keys import key_id
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.transport.link_view import KindView, LinkView

_MS = 1000.0


def health(node: Node) -> dict[str, Any]:
    """A peer is healthy once it is registered, and stays so: its wires need no signaling."""
    return {
        "healthy": not node.ended.is_set(),
        "id": str(node.id),
        "pid": os.getpid(),
        "trust": node.config.trust,
    }


def status(view: NodeView) -> dict[str, Any]:
    """The keys are those of ``actr ps --json``, documented in docs/deployment.md."""
    mailbox = view.mailbox
    return {
        "id": str(view.id),
        "pid": os.getpid(),
        "incarnation": f"{view.incarnation:016x}",
        "versions": dict(view.versions),
        "started_at": view.started_at,
        "trust": view.trust,
        "identity": {"by": view.identity.by, **_certificate(view.identity.certificate, view)},
        "signaling": view.signaling.value,
        "server_id": view.server_id,
        "refused": dict(view.refused),
        "actors": [actor_row(presence) for presence in view.actors],
        "wires": [wire for link in view.links for wire in _wires(link, view)],
        "lanes": [lane for link in _all_links(view) for lane in _lanes(link)],
        "past": _past(view.past),
        "calls": [_calls(calls) for calls in view.calls],
        "calls_waiting": view.calls_waiting,
        "streams": {
            "open": view.streams.open,
            "running": view.streams.running,
            "waiting": view.streams.waiting,
            **view.streams.counts,
        },
        "tracks": [_track(track) for track in view.tracks],
        "media": {kind: dict(came) for kind, came in view.media.items()},
        "mailbox": {
            "path": mailbox.path,
            "depth": mailbox.depth,
            "capacity": mailbox.capacity,
            "age": round(mailbox.age, 3),
            "waiting": mailbox.waiting,
            "waits": _durations(mailbox.waits),
            "dead": mailbox.dead,
            "trouble": mailbox.trouble,
            **mailbox.counts,
        },
        "outbox": asdict(view.outbox),
        "counts": {part: dict(counts) for part, counts in view.counts.items()},
        "failures": dict(view.failures),
    }


def wire_in_use(view: NodeView, remote: ActrId) -> str:
    """``webrtc 0.6 ms``: what carries the traffic to ``remote``, and its round trip."""
    link = view.link(remote)
    if link is None or link.active is None:
        return "no wire"
    rtt = next((wire.rtt for wire in link.wires if wire.kind is link.active), None)
    return link.active.value + ("" if rtt is None else f" {rtt * _MS:.1f} ms")


def actor_row(presence: Presence) -> dict[str, Any]:
    """One actor, as the status document shows it."""
    return {
        "id": str(presence.id),
        "type": presence.id.actr_type,
        "ws_address": presence.ws_address,
        "waiting": presence.load.mailbox_backlog,
    }


def _wires(link: LinkView, view: NodeView) -> list[dict[str, Any]]:
    return [
        {
            "remote": str(link.remote),
            "kind": wire.kind.value,
            "state": wire.state.name.lower(),
            "rtt_ms": None if wire.rtt is None else round(wire.rtt * _MS, 3),
            "relayed": wire.is_relayed,
            "active": wire.kind is link.active,
            "identity": _proved(wire, view),
        }
        for wire in link.wires
    ]


def _proved(wire: KindView, view: NodeView) -> dict[str, Any] | None:
    """What the far side of a wire has proved itself with; None: it is not there."""
    proof = proof_of(wire, view.identity)
    return None if proof is None else {"by": proof[0], **_certificate(proof[1], view)}


def _certificate(certificate: Certificate | None, view: NodeView) -> dict[str, Any]:
    """Named as ``actr identity show`` names it."""
    if certificate is None:
        return {}
    return {
        "subject": certificate.subject,
        "name": key_id(certificate.key),
        "fingerprint": hashlib.sha256(certificate.key).hexdigest(),
        "expires_at": certificate.expires_at,
        "seconds_left": max(0, round(certificate.expires_at - view.identity.now)),
    }


def _all_links(view: NodeView) -> tuple[LinkView, ...]:
    return view.links if view.own_link is None else (*view.links, view.own_link)


def _lanes(view: LinkView) -> list[dict[str, Any]]:
    return [
        {"remote": str(view.remote), "lane": payload_type.name, **asdict(lane)}
        for payload_type, lane in view.lanes.items()
    ]


def _past(past: LinksView) -> dict[str, Any]:
    changes: dict[str, dict[str, int]] = {}
    for (kind, state), count in past.changes.items():
        changes.setdefault(kind.value, {})[state.name.lower()] = count
    return {
        "lanes": [{"lane": lane.name, **asdict(view)} for lane, view in past.lanes.items()],
        "ended": dict(past.ended),
        "changes": changes,
        "gaps": _durations(past.gaps),
        "broken": past.broken,
    }


def _calls(calls: CallsView) -> dict[str, Any]:
    named = {"side": calls.side, "method": calls.method, "code": calls.code}
    return {**named, **_durations(calls.durations)}


def _durations(view: DurationsView) -> dict[str, Any]:
    """How many, how long all of them took, and how many of each bucket of the metrics."""
    return {"count": view.count, "seconds": round(view.seconds, 6), "buckets": list(view.counts)}


def _track(track: TrackView) -> dict[str, Any]:
    return {"remote": str(track.remote), **asdict(track.stats), "wire_rtt": track.rtt}
