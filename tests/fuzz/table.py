"""All targets: one for each parser that meets the bytes of whoever has not proved who he is."""

from __future__ import annotations

from tests.fuzz.engine import Target
from tests.fuzz.targets import (
    issuer,
    peer_gateway,
    peer_lists,
    peer_session,
    peer_signaling,
    peer_socket,
    peer_trust,
    peer_webrtc,
    peer_wire,
    signaling,
)

TARGETS: tuple[Target, ...] = (
    *peer_wire.TARGETS,
    *peer_socket.TARGETS,
    *peer_lists.TARGETS,
    *peer_trust.TARGETS,
    *peer_signaling.TARGETS,
    *peer_webrtc.TARGETS,
    *peer_session.TARGETS,
    *signaling.TARGETS,
    *issuer.TARGETS,
    *peer_gateway.TARGETS,
)
