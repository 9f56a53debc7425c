"""One WebSocket as a wire: frames in and out, handshake first, an end that is told once.

A picows listener: the library calls ``on_ws_frame`` while it reads, and a message goes from
there to the sink with no queue and no task. What each event means in each phase is
``protocol/wire/life.py``'s to say; what an act of its is, stands at the end here.
"""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from collections.abc import Callable, Mapping
from typing import NoReturn, Protocol

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from actr_peer.errors import (
    BrokenError,
    ClosedError,
    LimitError,
    PeerError,
    RemoteProtocolError,
    UnreachableError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.payload import WIRE_MESSAGE_BYTES, WireKind
from actr_peer.protocol.websocket import frames, masked, verdicts
from actr_peer.protocol.websocket.handshake import Accepted, Handshake
from actr_peer.protocol.websocket.lane_frames import (
    HANDSHAKE,
    HEADER,
    MAX_DATA_BYTES,
    decode,
    encode,
    read_head,
)
from actr_peer.protocol.websocket.refusals import Refused
from actr_peer.protocol.websocket.renewals import read_renewal, write_renewal
from actr_peer.protocol.wire.close_codes import CloseCode
from actr_peer.protocol.wire.life import CLEAN, WEBSOCKET, Act, Event, Phase, Verdict, WireLife
from actr_peer.wire.base import CHANNELS, WireSink, next_wire_id
from actr_peer.wire.parking import Parking, blame_sink
from actr_peer.wire.renewing import Renewing
from actr_peer.wire.websocket.closing import Closing
from actr_peer.wire.websocket.long_frames import send_long

HANDSHAKE_SECONDS = 5.0
# Measured on loopback: 1.2 GB/s of 16 KiB messages, as with four times as much; an urgent message
# behind them takes 0.6 ms (p99). On 10 Mbit/s this and the kernel's share are 50 ms.
HIGH_WATER_BYTES = 32 * 1024
LOW_WATER_BYTES = 8 * 1024
SLOW_SECONDS = 0.01
"""A socket that takes longer to have room again gets short messages: an urgent one overtakes."""
# Room for the longest WebSocket header, so that the library writes it in place.
_ROOM = bytes(14)
# Below this, one copy more is cheaper than a bytearray.
_SMALL_BYTES = 1024

_BINARY = WSMsgType.BINARY


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
        certified: What renews certificates while it is open.
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
        certified: Certified | None = None,
    ) -> None:
        self.id = next_wire_id()
        self.was_dialled = remote is not None
        self.is_full = False
        self.pack_bytes = WIRE_MESSAGE_BYTES
        self._far_bytes = WIRE_MESSAGE_BYTES  # what the far side takes
        self._full_since = 0.0
        self.frames = 0  # since the library last read (framing.py)
        self.is_deaf = False  # of who broke a rule only the end of its stream is waited for
        self._handshake = handshake
        self.hello = hello  # sent once it is connected, unless it has gone with the upgrade
        self._owner = owner
        self._loop = get_running_loop()
        self._life = WireLife(WEBSOCKET)
        self._remote = remote
        self._transport: WSTransport | None = None
        self._parking = Parking()
        self._odd = frames.OddFrames()
        self._ping: bytes | None = None
        self._closing = Closing(self._overdue)
        self._gone = asyncio.Event()
        self._renewing = Renewing(certified, self._send_renewal, self.fail)

    def __repr__(self) -> str:
        return f"<WebSocketWire {self.id} to {self._remote} {self._life.phase.name}>"

    # What a wire is (wire/base.py)

    @property
    def remote(self) -> ActrId:
        assert self._remote is not None, "a wire is handed out after its handshake"
        return self._remote

    @property
    def certificate(self) -> Certificate | None:
        """The far side's newest, proved to be its own; None where none is required."""
        return self._renewing.certificate

    @property
    def is_open(self) -> bool:
        return self._life.phase is _OPEN

    @property
    def buffered_bytes(self) -> int:
        if self._life.phase is not _OPEN or self._transport is None:
            return 0
        return self._transport.underlying_transport.get_write_buffer_size()

    def attach(self, sink: WireSink) -> None:
        before = self._life.phase
        for channel, data in self._parking.attach(sink):
            if self._life.phase is before:  # the sink may close the wire
                self._give(channel, data)
        if self._life.phase is Phase.CLOSED:
            self._tell()
        elif self._transport is not None:
            self._transport.underlying_transport.resume_reading()

    def send(self, channel: int, data: bytes) -> None:
        if self._life.phase is not _OPEN:
            raise BrokenError(f"the WebSocket to {self._remote} is closed")
        size = len(data)
        assert self._transport is not None
        if size <= _SMALL_BYTES:
            self._transport.send(_BINARY, _pack(channel, size) + data)
        elif size > MAX_DATA_BYTES:
            raise LimitError("bytes of a wire message", limit=MAX_DATA_BYTES, asked=size)
        elif self.was_dialled and size > masked.LONG_BYTES:
            send_long(self._transport, _pack(channel, size), data)
        else:
            # Header and mask are written in place: no copy but this one.
            framed = bytearray().join((_ROOM, _pack(channel, size), data))
            self._transport.send_reuse_external_bytearray(_BINARY, framed, len(_ROOM))

    async def close(self) -> None:
        """As the protocol says; cancelling aborts instead."""
        self._take(Event.CLOSE)
        try:
            if self._transport is not None:
                await self._gone.wait()
        except BaseException:
            self._closing.drop()
            raise

    def abort(self) -> None:
        """As the protocol says; ``closed`` is reported in a later turn of the loop."""
        self._take(Event.ABORT)

    # Events of the library

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._closing.connected(transport)
        self._take(Event.CONNECTED)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.frames += 1
        if (
            frame.msg_type is _BINARY
            and frame.fin
            and not self._odd.is_inside
            and not (frame.rsv1 or frame.rsv2 or frame.rsv3)
        ):
            self._frame(frame.get_payload_as_memoryview())
        else:
            self._odd_frame(
                int(frame.msg_type),  # type: ignore[call-overload]  # it is an int
                frame.get_payload_as_bytes(),
                is_last=bool(frame.fin),
                is_reserved=bool(frame.rsv1 or frame.rsv2 or frame.rsv3),
            )

    def on_long_frame(self, head: bytes, data: bytes) -> None:
        self.frames += 1
        if self._odd.is_inside:
            self._odd_frame(frames.Opcode.BINARY, head + data, is_last=True, is_reserved=False)
        else:
            self._frame(head, data)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        sent = transport.close_handshake and transport.close_handshake.sent
        said = f"{sent.code.value} {sent.reason}".rstrip() if sent else ""
        self._take(Event.LOST, verdicts.lost(self._life.phase, self._remote, said))
        self._closing.disconnected()
        self._renewing.stop()
        self._gone.set()
        self._owner.gone(self)

    def pause_writing(self) -> None:
        self.is_full = True
        self._full_since = self._loop.time()

    def resume_writing(self) -> None:
        self.is_full = False
        is_slow = self._loop.time() - self._full_since > SLOW_SECONDS
        self.pack_bytes = WIRE_MESSAGE_BYTES if is_slow else self._far_bytes
        if self._life.phase is _OPEN:
            self._parking.writable(self)

    # Frames

    def _frame(self, frame: bytes | memoryview, data: bytes | None = None) -> None:
        """Take a whole frame, or its header and its data."""
        try:
            phase = self._life.phase
            if phase is not _OPEN and phase is not Phase.GREETING:
                return
            if data is None:
                kind, data = decode(frame)
            else:
                kind = read_head(frame, len(data))
            if phase is not _OPEN:
                self._greet(kind, data)
            elif kind < CHANNELS:
                self._parking.deliver(self, kind, data)
            elif kind != HANDSHAKE or not self._renewing.take(read_renewal(data)):
                _no_channel(kind)
        except (RemoteProtocolError, LimitError) as error:
            self._take(Event.FAULT, verdicts.rule_broken(error))
        except Exception as exc:  # noqa: BLE001  boundary: picows would log it and go on
            failed = Verdict(blame_sink(self, exc), CloseCode.INTERNAL, "failure on this side")
            self._take(Event.FAULT, failed)

    def _give(self, channel: int, data: bytes) -> None:
        """Deliver what was parked; other failures of the sink go to who attaches it."""
        try:
            self._parking.deliver(self, channel, data)
        except (RemoteProtocolError, LimitError) as error:
            self._take(Event.FAULT, verdicts.rule_broken(error))

    def _odd_frame(self, opcode: int, payload: bytes, *, is_last: bool, is_reserved: bool) -> None:
        """Take what is no whole binary message."""
        if self._life.phase is Phase.CLOSED or self.is_deaf:
            return
        try:
            if self._life.phase is Phase.GREETING:
                self._odd.count()
            match self._odd.take(opcode, payload, is_last=is_last, is_reserved=is_reserved):
                case frames.Whole(data):
                    self._frame(data)
                case frames.Ping(said):
                    self._pong(said)
                case frames.FarClose(code, reason):
                    phase = self._life.phase
                    far = verdicts.far_close(phase, self._remote, code, reason)
                    self._take(Event.FAR_CLOSE, far)
                case None:
                    pass
        except (RemoteProtocolError, LimitError) as error:
            self._take(Event.FAULT, verdicts.rule_broken(error))

    def _pong(self, payload: bytes) -> None:
        """Answer the last ping of a turn (RFC 6455, section 5.5.3); none while the wire is full."""
        if self._ping is None:
            self._loop.call_soon(self._answer_ping)
        self._ping = payload

    def _answer_ping(self) -> None:
        payload, self._ping = self._ping, None
        if self._transport and not self._life.is_leaving and not self.is_full:
            self._transport.send_pong(payload)

    # The handshake

    def _greet(self, kind: int, data: bytes) -> None:
        if kind != HANDSHAKE:
            raise RemoteProtocolError(f"a frame of type {kind} before the handshake")
        try:
            outcome = self._handshake.receive(data)
        except UnreachableError as error:
            self._take(Event.FAULT, Verdict(error))
            return
        if outcome.step:
            self._send_step(outcome.step)
        if isinstance(outcome, Accepted):
            self._remote = outcome.remote
            self._renewing.begin(outcome.remote, outcome.certificate)
            self.pack_bytes = self._far_bytes = outcome.message_bytes
            self._take(Event.OPENED)
        elif isinstance(outcome, Refused):
            refusal = RemoteProtocolError(outcome.why)
            self._take(Event.FAULT, Verdict(refusal, outcome.code, outcome.why))

    def fail(self, error: PeerError) -> None:
        """Close at once for what is wrong with the far side, which is told ``error``."""
        self._take(Event.FAULT, verdicts.rule_broken(error))

    def _send_renewal(self, certificate: bytes) -> None:
        self._send_step(write_renewal(certificate))

    def _send_step(self, step: bytes) -> None:
        assert self._transport is not None
        self._transport.send(_BINARY, encode(HANDSHAKE, step))

    def time_out(self) -> None:
        """Give the place up: who waits for it has waited long enough."""
        if self._life.phase is Phase.GREETING:
            self._overdue()
            self._closing.drop()

    # What the life says

    def _take(self, event: Event, verdict: Verdict = CLEAN) -> None:
        for act in self._life.take(event, verdict):
            ACTS[act](self)

    def _greet_far_side(self) -> None:
        assert self._transport is not None
        self._owner.connected(self)
        tcp = self._transport.underlying_transport
        tcp.set_write_buffer_limits(HIGH_WATER_BYTES, LOW_WATER_BYTES)
        self._closing.wait(HANDSHAKE_SECONDS)
        if self.hello:
            self._send_step(self.hello)

    def _admit(self) -> None:
        assert self._transport is not None
        self._closing.stop_waiting()
        # Until there is a sink the far side waits; only what was read already is parked.
        self._transport.underlying_transport.pause_reading()
        self._owner.settled(self, None)

    def _settle(self) -> None:
        error = self._life.verdict.error or ClosedError("closed during the handshake")
        self._owner.settled(self, error)

    def _say(self) -> None:
        self.is_deaf = self._life.verdict.is_far_fault
        self._closing.say(self._life.verdict)

    def _tell(self) -> None:
        self._parking.closed(self, self._life.verdict.error)

    def _tell_soon(self) -> None:
        self._loop.call_soon(self._tell)

    def _overdue(self) -> None:
        self._take(Event.OVERDUE, verdicts.too_slow(HANDSHAKE_SECONDS))


ACTS: Mapping[Act, Callable[[WebSocketWire], None]] = {
    Act.GREET: WebSocketWire._greet_far_side,
    Act.ADMIT: WebSocketWire._admit,
    Act.SETTLE: WebSocketWire._settle,
    Act.SAY: WebSocketWire._say,
    Act.ANSWER: lambda wire: wire._closing.answer(),
    Act.HANG_UP: lambda wire: wire._closing.hang_up(),
    Act.DROP: lambda wire: wire._closing.drop(),
    Act.TELL: WebSocketWire._tell,
    Act.TELL_SOON: WebSocketWire._tell_soon,
}


def _no_channel(channel: int) -> NoReturn:
    raise RemoteProtocolError(f"channel {channel} is not one of 0 to {CHANNELS - 1}")
