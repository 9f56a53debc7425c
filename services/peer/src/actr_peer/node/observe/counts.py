"""What the parts of a node have counted since the start: what they refused, dropped or saw twice.

One table for all that is rare, by the part that counts it, so that a new counter is one line here
and is seen everywhere; what happens all the time has fields of its own in
:class:`~actr_peer.node.observe.view.NodeView`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from actr_peer.node.assembly import Assembly
from actr_peer.transport.remote import RemoteTransport


def counts_of(assembly: Assembly) -> dict[str, Mapping[str, int]]:
    """By part and by what it counts; the keys are written in code, or of a closed list."""
    network, media = assembly.network, assembly.media_subscribers
    own, letters = network.credentials, assembly.mailbox.letters
    return {
        "access": {"refused": assembly.access.refused, "unheard": assembly.access.unheard},
        "budgets": _budgets(assembly, network.transport),
        "hooks": {"dropped": assembly.hooks.dropped},
        "letters": {"buried": letters.buried, "dropped": letters.dropped},
        "media": {"unknown": media.unknown, "dropped": media.dropped},
        "openings": {"repeated": assembly.stream_handlers.repeated},
        "outbox": {"dropped": assembly.outbox.dropped},
        "replies": {"unmatched": assembly.calls.unmatched},
        "requests": asdict(assembly.dispatcher.counts),
        "rules": {"refused": 0 if own is None else own.rules_refused},
        "signaling": dict(network.signaling.contained),
        "tells": {"lost": assembly.outbound.tells.lost},
        "webrtc": {
            "dropped": network.webrtc.dropped,
            "candidates_dropped": network.webrtc.candidates_dropped,
            "stun_failed": network.webrtc.servers_failed("stun"),
            "turn_failed": network.webrtc.servers_failed("turn"),
        },
        "websocket": {"turned_away": network.websocket.door.turned_away},
    }


def _budgets(assembly: Assembly, transport: RemoteTransport) -> dict[str, int]:
    """How often something ended because all of its kind held too much."""
    return {
        "received": transport.budget.dropped,
        "posted": transport.posted.dropped,
        "streams": assembly.streams.budget.dropped,
    }


def refused(assembly: Assembly) -> dict[str, int]:
    """What was not believed, of all kinds, by the cause."""
    network = assembly.network
    signed = network.signed.dropped if network.signed is not None else {}
    kinds = {"description": signed, "wire": network.websocket.refused + network.relayed.refused}
    named = {f"{kind} {cause}": n for kind, counts in kinds.items() for cause, n in counts.items()}
    return {**network.signaling.refused, **named}
