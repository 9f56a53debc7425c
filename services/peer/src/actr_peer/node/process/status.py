"""What a running peer tells ``actr ps``: one JSON document, made on demand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from actr_peer.node.node import Node
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.tasks import failures
from actr_peer.transport.link_view import LinkView

_MS = 1000.0


def health(node: Node) -> dict[str, Any]:
    """A peer is healthy once it is registered, and stays so: its wires need no signaling."""
    return {"healthy": not node.ended.is_set(), "id": str(node.id)}


def status(node: Node) -> dict[str, Any]:
    """The keys are those of ``actr ps --json``, documented in docs/deployment.md."""
    signaling = node.wiring.signaling
    views = [link.view() for link in node.wiring.transport.links()]
    return {
        "id": str(node.id),
        "incarnation": f"{node.incarnation:016x}",
        "signaling": signaling.state.value if signaling is not None else "closed",
        "server_id": signaling.server_id if signaling is not None else "",
        "actors": [actor_row(presence) for presence in _known(node)],
        "wires": [wire for view in views for wire in _wires(view)],
        "lanes": [lane for view in views for lane in _lanes(view)],
        "mailbox": {
            "path": str(node.config.mailbox_path or ""),
            "depth": node.mailbox.depth,
            "pushed_back": node.mailbox.waiting,
            "dead": len(node.mailbox.letters),
            "trouble": node.mailbox.state_file.trouble,
            **asdict(node.mailbox.counts),
        },
        "outbox": {
            "path": node.durable.outbox.path,
            "open": len(node.durable.outbox.open_calls()),
            "trouble": node.durable.outbox.state_file.trouble,
        },
        "failures": dict(failures),
    }


def wire_in_use(node: Node, remote: ActrId) -> str:
    """``webrtc 0.6 ms``: what carries the traffic to ``remote``, and its round trip."""
    link = node.wiring.transport.find(remote)
    view = link.view() if link is not None else None
    if view is None or view.active is None:
        return "no wire"
    rtt = next((wire.rtt for wire in view.wires if wire.kind is view.active), None)
    return view.active.value + ("" if rtt is None else f" {rtt * _MS:.1f} ms")


def _known(node: Node) -> Iterator[Presence]:
    """This actor and those it has a link to, as signaling told of them."""
    signaling = node.wiring.signaling
    for actor in sorted({node.id, *(link.remote for link in node.wiring.transport.links())}):
        found = signaling.find(actor) if signaling is not None else None
        yield found or Presence(id=actor)


def actor_row(presence: Presence) -> dict[str, Any]:
    """One actor, as the status document shows it."""
    return {
        "id": str(presence.id),
        "type": presence.id.actr_type,
        "ws_address": presence.ws_address,
        "waiting": presence.load.mailbox_backlog,
    }


def _wires(view: LinkView) -> list[dict[str, Any]]:
    return [
        {
            "remote": str(view.remote),
            "kind": wire.kind.value,
            "state": wire.state.name.lower(),
            "rtt_ms": None if wire.rtt is None else round(wire.rtt * _MS, 3),
            "relayed": wire.is_relayed,
            "active": wire.kind is view.active,
        }
        for wire in view.wires
    ]


def _lanes(view: LinkView) -> list[dict[str, Any]]:
    return [
        {"remote": str(view.remote), "lane": payload_type.name, **asdict(lane)}
        for payload_type, lane in view.lanes.items()
    ]
