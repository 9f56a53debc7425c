"""The WebSocket wire: the listener, the dialler, and one wire."""

from actr_peer.wire.private import check
from actr_peer.wire.websocket import private

check(private.WANTED, private.METHODS)
