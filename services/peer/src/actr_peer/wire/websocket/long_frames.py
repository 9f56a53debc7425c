"""A dialler's long messages, sent past the framing library (``protocol/websocket/masked.py``)."""

from __future__ import annotations

import os
from contextlib import suppress

from picows import WSTransport

from actr_peer.protocol.websocket import masked
from actr_peer.wire.websocket.framing import mask


def send_long(transport: WSTransport, lane_head: bytes, data: bytes) -> None:
    """Send one frame of ``lane_head`` and ``data``, which is longer than ``masked.LONG_BYTES``."""
    tcp = transport.underlying_transport
    size = len(lane_head) + len(data)
    if transport.is_secure:
        # A mask is for who is between: in TLS nobody is (docs/protocol.md, WebSocket wire).
        tcp.writelines((masked.head(size, masked.NO_KEY) + lane_head, data))
        return
    key = os.urandom(masked.KEY_BYTES)
    head = masked.head(size, key) + mask(lane_head, key)
    payload = mask(data, masked.turned(key, len(lane_head)))
    sent = 0
    if not (tcp.get_write_buffer_size() or tcp.is_closing()):
        with suppress(OSError):  # it is full, or gone: the transport finds out
            sent = os.writev(tcp.get_extra_info("socket").fileno(), (head, payload))
    if sent < len(head):
        tcp.write(head[sent:])
        tcp.write(payload)
    elif sent < len(head) + len(payload):
        tcp.write(memoryview(payload)[sent - len(head) :])
