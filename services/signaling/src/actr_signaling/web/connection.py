"""Shell: one WebSocket and its session. Owns the socket's messages and one timer, no task."""

from __future__ import annotations

import asyncio
from time import time

import structlog
from google.protobuf.message import DecodeError

from actr import signaling_pb2
from actr_signaling.errors import Close, RefusedError, SignalingError
from actr_signaling.hub.hub import Hub
from actr_signaling.hub.peers import Burst
from actr_signaling.protocol import json_form
from actr_signaling.protocol.client import messages, replies
from actr_signaling.protocol.client.session import Session, State
from actr_signaling.protocol.presence.records import Entry
from actr_signaling.protocol.websocket import frames
from actr_signaling.web.websocket import Socket

log = structlog.get_logger()


class Connection:
    """From the accepted upgrade to the end of the socket.

    Args:
        is_json: Whether messages are text in protobuf's JSON form.
    """

    def __init__(
        self, hub: Hub, socket: Socket, session: Session, *, session_id: str, is_json: bool
    ) -> None:
        self.session_id = session_id
        self.session = session
        self.head = b""
        self.entry: Entry | None = None
        self.ice_until: float | None = None
        self.took_over = False
        self._hub = hub
        self._socket = socket
        self.is_json = is_json
        self._loop = asyncio.get_running_loop()
        self._carry = hub.courier.carry
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, hello: bytes) -> None:
        """Greet, and take what arrives from now on."""
        self._hub.joined(self)
        self.send(hello)
        self._watch_deadline()
        self._socket.attach(self)

    @property
    def is_slow(self) -> bool:
        return self._socket.is_slow

    def send(self, data: bytes | str) -> bool:
        if self.is_json and isinstance(data, bytes):
            data = json_form.to_json(data)
        return self._socket.send_message(data)

    def send_burst(self, burst: Burst) -> bool:
        return self._socket.send_frames(burst.frames)

    def pass_on(self, data: bytes) -> bool:
        if not self.is_json:
            return self._socket.send_frames(frames.binary(data), is_relay=True)
        try:
            form = json_form.to_json(data)
        except DecodeError:  # another replica, or who writes where replicas read, made it
            log.warning("relay dropped: not a message", actor=str(self.session.id))
            return False
        return self._socket.send_message(form, is_relay=True)

    def pass_on_parts(self, start: bytes, rest: bytes) -> bool:
        if self.is_json:
            return self.pass_on(start + rest)
        return self._socket.send_frames(frames.binary_of(start, rest), is_relay=True)

    def confirm(self, reply_to: int) -> bool:
        if self.is_json:
            return self.send(replies.receipt(reply_to))
        return self._socket.send_frames(replies.receipt_frame(reply_to))

    def end(self, code: Close, message: str) -> None:
        if code is not Close.NORMAL:
            log.info("connection ended", code=int(code), why=message, actor=str(self.session.id))
        self._socket.finish(code, message)
        self.closed()

    # Receiver

    def arrived(self, size: int) -> bool:
        try:
            self.session.admit(size, self._loop.time())
        except SignalingError as error:
            self._fail(error, 0)
            return False
        return True

    def received(self, data: bytes | str) -> None:
        if not self.is_json and isinstance(data, bytes) and self._carry(self, data):
            return
        now = self._loop.time()
        number = 0
        try:
            wire = self._parse(data)
            number = wire.id
            todo = self.session.receive(messages.read(wire), number, now, unix=time())
        except RefusedError as refused:
            if refused.cause:
                self._hub.refuse(self, refused.cause, refused.message)
            self.send(replies.error(number, refused.code, refused.message))
        except SignalingError as error:
            self._fail(error, number)
        else:
            self._hub.perform(self, todo)

    def relieved(self) -> None:
        self._hub.relieved(self)

    def closed(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._hub.gone(self)

    def _parse(self, data: bytes | str) -> signaling_pb2.ClientMessage:
        if isinstance(data, str) is not self.is_json:
            form = "text frames in JSON form" if self.is_json else "binary frames"
            raise SignalingError(f"this connection takes {form}")
        return messages.parse_json(data) if isinstance(data, str) else messages.parse(data)

    def _fail(self, error: SignalingError, number: int) -> None:
        if error.cause:
            self._hub.refuse(self, error.cause, error.message)
        self.send(replies.error(number, error.code, error.message))
        self.end(error.code, error.message)

    def _watch_deadline(self) -> None:
        self._timer = self._loop.call_at(self.session.deadline, self._check_deadline)

    def _check_deadline(self) -> None:
        """Heartbeats move the deadline and not the timer: it looks again when it fires."""
        todo = self.session.expire(self._loop.time())
        if self.session.state is not State.CLOSED:
            self._watch_deadline()
        self._hub.perform(self, todo)
