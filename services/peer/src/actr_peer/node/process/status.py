"""What a running peer tells ``actr ps``: one JSON document, made on demand."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict
from typing import Any

from actr_peer.node.config import NodeConfig
from actr_peer.node.node import Node
from actr_peer.node.observe.view import NodeView, proof_of
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.keys import key_id
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.tasks import failures
from actr_peer.transport.link_view import KindView, LinkView

_MS = 1000.0


def health(node: Node) -> dict[str, Any]:
    """A peer is healthy once it is registered, and stays so: its wires need no signaling."""
    return {
        "healthy": not node.ended.is_set(),
        "id": str(node.id),
        "pid": os.getpid(),
        "trust": trust_of(node.config),
    }


def trust_of(config: NodeConfig) -> str:
    """What others have to prove to this actor, on every wire, as ``realm.trust`` has it:
    ``development`` is nothing."""
    if config.identity is not None and config.identity.is_required:
        return "certificate"
    return "secret" if config.realm_secret else "development"


def status(view: NodeView) -> dict[str, Any]:
    """The keys are those of ``actr ps --json``, documented in docs/deployment.md."""
    mailbox = view.mailbox
    return {
        "id": str(view.id),
        "pid": os.getpid(),
        "incarnation": f"{view.incarnation:016x}",
        "identity": {"by": view.identity.by, **_certificate(view.identity.certificate, view)},
        "signaling": view.signaling.value,
        "server_id": view.server_id,
        "refused": dict(view.refused),
        "actors": [actor_row(presence) for presence in view.actors],
        "wires": [wire for link in view.links for wire in _wires(link, view)],
        "lanes": [lane for link in view.links for lane in _lanes(link)],
        "streams": {"open": view.streams.open, **view.streams.counts},
        "mailbox": {
            "path": mailbox.path,
            "depth": mailbox.depth,
            "dead": mailbox.dead,
            "trouble": mailbox.trouble,
            **mailbox.counts,
        },
        "outbox": asdict(view.outbox),
        "failures": dict(failures),
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


def _lanes(view: LinkView) -> list[dict[str, Any]]:
    return [
        {"remote": str(view.remote), "lane": payload_type.name, **asdict(lane)}
        for payload_type, lane in view.lanes.items()
    ]
