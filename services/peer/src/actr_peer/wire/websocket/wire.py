"""One WebSocket as a wire: frames in and out, handshake first, an end that is told once.

A picows listener: the library calls ``on_ws_frame`` while it reads, and a message goes from
there to the sink with no queue and no task. What each phase does with an event::

    GREETING   steps of the handshake; anything else is a violation
    OPEN       messages to the sink; close, abort, a violation or a loss end it
    CLOSING    a close frame is sent; nothing reaches the sink; the answer or 2 s end it
    CLOSED     told to the sink; late events are dropped
"""

from __future__ import annotations

from asyncio import Event, TimerHandle, get_running_loop
from enum import Enum, auto
from typing import NoReturn, Protocol

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from actr_peer.errors import (
    BrokenError,
    ClosedError,
    LimitError,
    PeerError,
    RemoteProtocolError,
    UnreachableError,
)
from actr_peer.protocol.close_codes import CloseCode
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.websocket import frames
from actr_peer.protocol.websocket.handshake import Accepted, Handshake, Refused
from actr_peer.protocol.websocket.lane_frames import (
    HANDSHAKE,
    HEADER,
    MAX_DATA_BYTES,
    decode,
    encode,
)
from actr_peer.wire.base import CHANNELS, WireSink, next_wire_id
from actr_peer.wire.parking import Parking, blame_sink

HANDSHAKE_SECONDS = 5.0
CLOSE_SECONDS = 2.0
# Measured on loopback: 1.2 GB/s of 16 KiB messages, as with four times as much; an urgent message
# behind them takes 0.6 ms (p99). On 10 Mbit/s this and the kernel's share are 50 ms.
HIGH_WATER_BYTES = 32 * 1024
LOW_WATER_BYTES = 8 * 1024
# Room for the longest WebSocket header, so that the library writes it in place.
_ROOM = bytes(14)
# Below this, one copy more is cheaper than a bytearray.
_SMALL_BYTES = 1024

_BINARY = WSMsgType.BINARY


class Phase(Enum):
    GREETING = auto()
    OPEN = auto()
    CLOSING = auto()
    CLOSED = auto()


# Looked up once: these are on the path of every message.
_OPEN = Phase.OPEN
_pack = HEADER.pack


class Owner(Protocol):
    """Who made a wire hears of its life here; the sink hears of its traffic."""

    def connected(self, wire: WebSocketWire) -> None:
        """The upgrade is done, the handshake begins."""

    def settled(self, wire: WebSocketWire, error: PeerError | None) -> None:
        """The handshake succeeded, or failed with ``error``; told once, not after an abort."""

    def gone(self, wire: WebSocketWire) -> None:
        """The socket has closed; told once, after all else."""


class WebSocketWire(WSListener):
    """A WebSocket to ``remote``; made by ``WebSocketWires``, a wire once its handshake is done.

    Args:
        handshake: What to do with the far side's first frames.
        owner: Told of the wire's life.
        remote: Who is dialled; None at the listener, which learns it.
        hello: The dialler's first step; empty at the listener.
    """

    kind = WireKind.WEBSOCKET
    is_relayed = False
    max_message_bytes = MAX_DATA_BYTES

    def __init__(
        self,
        handshake: Handshake,
        owner: Owner,
        *,
        remote: ActrId | None = None,
        hello: bytes = b"",
    ) -> None:
        self.id = next_wire_id()
        self.was_dialled = remote is not None
        self.is_full = False
        self.frames = 0  # since the library last read (framing.py)
        self.is_deaf = False  # of who broke a rule only the end of its stream is waited for
        self._handshake = handshake
        self._hello = hello
        self._owner = owner
        self._loop = get_running_loop()
        self._phase = Phase.GREETING
        self._remote = remote
        self._transport: WSTransport | None = None
        self._parking = Parking()
        self._odd = frames.OddFrames()
        self._ping: bytes | None = None
        self._verdict: PeerError | None = None
        self._timer: TimerHandle | None = None
        self._gone = Event()

    def __repr__(self) -> str:
        return f"<WebSocketWire {self.id} to {self._remote} {self._phase.name}>"

    # What a wire is (wire/base.py)

    @property
    def remote(self) -> ActrId:
        assert self._remote is not None, "a wire is handed out after its handshake"
        return self._remote

    @property
    def is_open(self) -> bool:
        return self._phase is Phase.OPEN

    @property
    def buffered_bytes(self) -> int:
        if self._phase is not Phase.OPEN or self._transport is None:
            return 0
        return self._transport.underlying_transport.get_write_buffer_size()

    def attach(self, sink: WireSink) -> None:
        before = self._phase
        for channel, data in self._parking.attach(sink):
            if self._phase is before:  # the sink may close the wire
                self._give(channel, data)
        if self._phase is Phase.CLOSED:
            self._tell()
        elif self._transport is not None:
            self._transport.underlying_transport.resume_reading()

    def send(self, channel: int, data: bytes) -> None:
        if self._phase is not _OPEN:
            raise BrokenError(f"the WebSocket to {self._remote} is closed")
        size = len(data)
        assert self._transport is not None
        if size <= _SMALL_BYTES:
            self._transport.send(_BINARY, _pack(channel, size) + data)
        elif size <= MAX_DATA_BYTES:
            # Header and mask are written in place: no copy but this one.
            framed = bytearray().join((_ROOM, _pack(channel, size), data))
            self._transport.send_reuse_external_bytearray(_BINARY, framed, len(_ROOM))
        else:
            raise LimitError("bytes of a wire message", limit=MAX_DATA_BYTES, asked=size)

    async def close(self) -> None:
        """As the protocol says; cancelling aborts instead."""
        self._end(CloseCode.NORMAL, "", None)
        try:
            if self._transport is not None:
                await self._gone.wait()
        except BaseException:
            self._drop()
            raise

    def abort(self) -> None:
        """As the protocol says; ``closed`` is reported in a later turn of the loop."""
        if self._phase is not Phase.CLOSED:
            self._phase = Phase.CLOSED
            self._loop.call_soon(self._tell)
        self._drop()

    # Events of the library

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        if self._phase is Phase.CLOSED:  # aborted while the upgrade was under way
            transport.disconnect(graceful=False)
            return
        self._owner.connected(self)
        transport.underlying_transport.set_write_buffer_limits(HIGH_WATER_BYTES, LOW_WATER_BYTES)
        self._timer = self._loop.call_later(HANDSHAKE_SECONDS, self._too_slow)
        if self._hello:
            self._send_step(self._hello)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.frames += 1
        if (
            frame.msg_type is _BINARY
            and frame.fin
            and not self._odd.is_inside
            and not (frame.rsv1 or frame.rsv2 or frame.rsv3)
        ):
            self._frame(frame.get_payload_as_bytes())
        elif self._phase is not Phase.CLOSED and not self.is_deaf:
            self._odd_frame(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._phase in (Phase.GREETING, Phase.OPEN):
            self._verdict = self._loss(transport)
        self._finish()
        self._stop_timer()
        self._gone.set()
        self._owner.gone(self)

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        if self._phase is Phase.OPEN:
            self._parking.writable(self)

    # Frames

    def _frame(self, frame: bytes) -> None:
        try:
            if self._phase is _OPEN:
                channel, data = decode(frame)
                if channel >= CHANNELS:
                    _no_channel(channel)
                self._parking.deliver(self, channel, data)
            elif self._phase is Phase.GREETING:
                self._greet(frame)
        except (RemoteProtocolError, LimitError) as error:
            self._refuse(error)
        except Exception as exc:  # noqa: BLE001  boundary: picows would log it and go on
            self._end(CloseCode.INTERNAL, "failure on this side", blame_sink(self, exc))

    def _give(self, channel: int, data: bytes) -> None:
        """Deliver what was parked; other failures of the sink go to who attaches it."""
        try:
            self._parking.deliver(self, channel, data)
        except (RemoteProtocolError, LimitError) as error:
            self._refuse(error)

    def _odd_frame(self, frame: WSFrame) -> None:
        """Take what is no whole binary message."""
        try:
            if self._phase is Phase.GREETING:
                self._odd.count()
            match self._odd.take(
                int(frame.msg_type),  # type: ignore[call-overload]  # it is an int
                frame.get_payload_as_bytes(),
                is_last=bool(frame.fin),
                is_reserved=bool(frame.rsv1 or frame.rsv2 or frame.rsv3),
            ):
                case frames.Whole(data):
                    self._frame(data)
                case frames.Ping(payload):
                    self._pong(payload)
                case frames.FarClose(code, reason):
                    self._far_close(code, reason)
                case None:
                    pass
        except (RemoteProtocolError, LimitError) as error:
            self._refuse(error)

    def _pong(self, payload: bytes) -> None:
        """Answer the last ping of a turn (RFC 6455, section 5.5.3); none while the wire is full."""
        if self._ping is None:
            self._loop.call_soon(self._answer_ping)
        self._ping = payload

    def _answer_ping(self) -> None:
        payload, self._ping = self._ping, None
        if self._transport and self._phase in (Phase.GREETING, Phase.OPEN) and not self.is_full:
            self._transport.send_pong(payload)

    def _far_close(self, code: int, reason: bytes) -> None:
        assert self._transport is not None
        if self._phase is Phase.CLOSED:
            return
        if self._phase is not Phase.CLOSING:
            self._transport.send_close(WSCloseCode.OK)
            self._verdict = self._judge(code, reason)
        self._finish()
        self._transport.disconnect()
        self._stop_timer()
        self._timer = self._loop.call_later(CLOSE_SECONDS, self._drop)

    def _judge(self, code: int, reason: bytes) -> PeerError | None:
        """Say what a close frame of the far side means for this one."""
        why = f"{code} {reason.decode(errors='replace')}".rstrip()
        if self._phase is Phase.GREETING:
            return UnreachableError(str(self._remote), f"refused with {why}")
        if code in (CloseCode.NORMAL, CloseCode.GOING_AWAY, frames.NO_CODE):
            return None
        return BrokenError(f"{self._remote} closed the WebSocket with {why}")

    # The handshake

    def _greet(self, frame: bytes) -> None:
        assert self._transport is not None
        kind, data = decode(frame)
        if kind != HANDSHAKE:
            raise RemoteProtocolError(f"a frame of type {kind} before the handshake")
        try:
            outcome = self._handshake.receive(data)
        except UnreachableError as error:
            self._end(CloseCode.NORMAL, "", error)
            return
        if outcome.step:
            self._send_step(outcome.step)
        if isinstance(outcome, Accepted):
            self._stop_timer()
            self._remote = outcome.remote
            self._phase = Phase.OPEN
            # Until there is a sink the far side waits; only what was read already is parked.
            self._transport.underlying_transport.pause_reading()
            self._owner.settled(self, None)
        elif isinstance(outcome, Refused):
            self._end(outcome.code, outcome.why, RemoteProtocolError(outcome.why))

    def _send_step(self, step: bytes) -> None:
        assert self._transport is not None
        self._transport.send(_BINARY, encode(HANDSHAKE, step))

    def time_out(self) -> None:
        """Give the place up: who waits for it has waited long enough."""
        if self._phase is Phase.GREETING:
            self._too_slow()
            self._drop()

    def _too_slow(self) -> None:
        why = f"no handshake within {HANDSHAKE_SECONDS:g} s"
        self._end(CloseCode.TIMED_OUT, why, RemoteProtocolError(why))

    # The end

    def _refuse(self, error: PeerError) -> None:
        code = CloseCode.TOO_BIG if isinstance(error, LimitError) else CloseCode.BAD_MESSAGE
        code = CloseCode.PROTOCOL if isinstance(error, frames.FramingError) else code
        self._end(code, str(error), error)

    def _end(self, code: CloseCode, reason: str, verdict: PeerError | None) -> None:
        """Say good-bye; the far side's answer, or 2 s, end the wire."""
        if self._phase in (Phase.CLOSING, Phase.CLOSED):
            return
        self._stop_timer()
        self._verdict = verdict
        if self._transport is None:
            self._finish()
            return
        was_greeting, self._phase = self._phase is Phase.GREETING, Phase.CLOSING
        # 123 bytes are left for the reason in a control frame (RFC 6455, 5.5).
        self._transport.send_close(
            WSCloseCode(code), reason.encode()[:120].decode(errors="ignore").encode()
        )
        tcp = self._transport.underlying_transport
        tcp.resume_reading()
        self.is_deaf = isinstance(verdict, RemoteProtocolError | LimitError)
        if self.is_deaf and tcp.can_write_eof():
            tcp.write_eof()
        self._timer = self._loop.call_later(CLOSE_SECONDS, self._drop)
        if was_greeting:
            self._owner.settled(self, verdict or ClosedError("closed during the handshake"))

    def _finish(self) -> None:
        was, self._phase = self._phase, Phase.CLOSED
        if was is Phase.GREETING:
            self._owner.settled(self, self._verdict or ClosedError("closed during the handshake"))
        elif was is not Phase.CLOSED:
            self._tell()

    def _tell(self) -> None:
        self._parking.closed(self, self._verdict)

    def _loss(self, transport: WSTransport) -> PeerError:
        """Say why the socket went away with no close frame of the far side."""
        sent = transport.close_handshake and transport.close_handshake.sent
        if sent:  # by the library, which found the stream malformed
            return RemoteProtocolError(f"{sent.code.value} {sent.reason}".rstrip())
        if self._phase is Phase.GREETING:
            return UnreachableError(str(self._remote), "the connection was lost in the handshake")
        return BrokenError(f"the connection to {self._remote} was lost")

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _no_channel(channel: int) -> NoReturn:
    raise RemoteProtocolError(f"channel {channel} is not one of 0 to {CHANNELS - 1}")
