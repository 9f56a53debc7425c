"""A WebSocket to signaling as a wire to another actor: a WebSocket wire whose frames are sealed."""

from __future__ import annotations

from picows import WSMsgType, WSTransport

from actr_peer.errors import BrokenError, LimitError, RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.payload import WIRE_MESSAGE_BYTES, WireKind
from actr_peer.protocol.websocket import verdicts
from actr_peer.protocol.websocket.handshake import Handshake
from actr_peer.protocol.websocket.lane_frames import HANDSHAKE, encode
from actr_peer.protocol.wire.life import Event
from actr_peer.protocol.wire.sealing import Sealing
from actr_peer.wire.websocket.wire import Owner, WebSocketWire


class RelayedWire(WebSocketWire):
    """Made by ``RelayedWires``; both of its ends have dialled the signaling service.

    Args:
        ticket: Shown to the service first, which joins the two that have it.
        remote: Who was asked for; None at the end that was told to come.
        first: The dialler's first step; empty at the other end.
    """

    kind = WireKind.RELAYED
    is_relayed = True
    max_message_bytes = WIRE_MESSAGE_BYTES

    def __init__(
        self,
        handshake: Handshake,
        owner: Owner,
        sealing: Sealing,
        ticket: str,
        *,
        remote: ActrId | None = None,
        first: bytes = b"",
        certified: Certified | None = None,
    ) -> None:
        super().__init__(handshake, owner, remote=remote, certified=certified)
        self._sealing = sealing
        self._ticket = ticket
        self._first = first

    def send(self, channel: int, data: bytes) -> None:
        if not self.is_open:
            raise BrokenError(f"the relayed wire to {self._remote} is closed")
        if len(data) > WIRE_MESSAGE_BYTES:
            limit = WIRE_MESSAGE_BYTES
            raise LimitError("bytes of a wire message", limit=limit, asked=len(data))
        self._send_frame(encode(channel, data))

    def on_ws_connected(self, transport: WSTransport) -> None:
        transport.send(WSMsgType.BINARY, self._ticket.encode())
        super().on_ws_connected(transport)
        if self._first:
            self._send_step(self._first)

    def _send_step(self, step: bytes) -> None:
        self._send_frame(encode(HANDSHAKE, step))

    def _send_frame(self, frame: bytes) -> None:
        assert self._transport is not None
        try:
            sealed = self._sealing.seal(frame)
        except LimitError as error:  # as good as lost: another one has new keys
            self._take(Event.FAULT, verdicts.rule_broken(error))
            return
        self._transport.send(WSMsgType.BINARY, sealed)

    def _frame(self, frame: bytes | memoryview, data: bytes | None = None) -> None:
        message = bytes(frame) if data is None else b"".join((frame, data))
        try:
            opened = self._sealing.open(message)
        except RemoteProtocolError as error:
            self._take(Event.FAULT, verdicts.rule_broken(error))
            return
        super()._frame(opened)
