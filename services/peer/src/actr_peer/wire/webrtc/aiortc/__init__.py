"""The engine on aiortc: all that touches that library, and its private parts."""

from actr_peer.wire.private import check
from actr_peer.wire.webrtc.aiortc import private

check(private.WANTED, private.METHODS)
