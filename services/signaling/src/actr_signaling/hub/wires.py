"""Shell: wires between two actors that have no other way: two sockets, joined message by message.

What goes through is sealed by its ends and means nothing here (docs/protocol/relayed.md). Each
socket takes its turns beside all others of this service, and none is read faster than the other
one takes it: there waits what one read of a socket brings, and what a slow reader may leave unsent.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

import structlog

from actr_signaling.errors import Close
from actr_signaling.hub.peers import Peer
from actr_signaling.protocol.client import replies
from actr_signaling.protocol.client.messages import Relay
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.relay.routing import HERE, Route, There
from actr_signaling.protocol.relay.wires import (
    GREETING_FRAMES,
    IDLE,
    WAIT,
    Pace,
    Refused,
    Wire,
    Wires,
    read_ticket,
)

log = structlog.get_logger()

LEFT = 1001
"""Close code (RFC 6455, section 7.4.1) of an end whose other end has gone."""
_WORDS = {
    Refused.OFF: (Close.FORBIDDEN, "this service relays no wires"),
    Refused.ELSEWHERE: (Close.FORBIDDEN, "no wire is relayed to an actor on another replica"),
    Refused.FULL: (Close.TOO_FAST, "this service relays as many wires as it may"),
    Refused.ACTOR: (Close.TOO_FAST, "this actor has as many relayed wires as it may"),
    Refused.ADDRESS: (Close.TOO_FAST, "this address has as many relayed wires as it may"),
    Refused.TAKEN: (Close.FORBIDDEN, "another wire has this ticket"),
    Refused.UNKNOWN: (Close.FORBIDDEN, "nobody has asked this replica for a wire of this ticket"),
    Refused.ALONE: (Close.TIMED_OUT, "the other end of the wire has not come"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WireBounds:
    """What an operator allows."""

    most: int = 0
    """Wires at a time; 0: none."""
    bytes_per_second: float = 1_048_576
    """Of one direction of one wire."""


NO_WIRES = WireBounds()


class WireSocket(Protocol):
    """One end's (:class:`actr_signaling.web.door.joined.JoinedSocket`)."""

    is_slow: bool

    @property
    def address(self) -> str:
        """Where it comes from, as it is counted."""

    def send_message(self, data: bytes | str) -> bool: ...

    def finish(self, code: int, reason: str) -> None:
        """Close; the end is told by ``closed``."""

    def hold_up(self) -> None:
        """Take nothing more of it, until :meth:`go_on`."""

    def go_on(self) -> None:
        """Take what comes; harmless where it was not held up."""


class Carrying(Protocol):
    """What carries an ask to whom it is for (:class:`actr_signaling.hub.courier.Courier`)."""

    def way(self, peer: Peer, to: ActrId | None) -> Route: ...

    def send_by(
        self, way: Route, peer: Peer, to: ActrId | None, negotiate: bytes, reply_to: int
    ) -> bool: ...


class RelayedWires:
    """All of this replica; owned by the hub.

    Attributes:
        passed_bytes: That went from one end to the other.
    """

    def __init__(self, courier: Carrying, bounds: WireBounds) -> None:
        self.passed_bytes = 0
        self.bounds = bounds
        self.table = Wires(bounds.most)
        self._courier = courier
        self._loop = asyncio.get_running_loop
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, peer: Peer, ask: Relay, reply_to: int) -> None:
        """Hand an ask over, and let the two ends come; or tell ``peer`` why they may not.

        It goes by the rules of all relays first: who may not reach an actor does not hear from a
        refusal where it is, and an ask that reaches nobody opens nothing.
        """
        way = self._courier.way(peer, ask.to)
        why = self._admit(way, peer, ask.ticket)
        if why is not None:
            code, text = _WORDS[why]
            log.info("relayed wire refused", cause=why.value, actor=str(peer.session.id))
            peer.send(replies.error(reply_to, code, text))
        elif self._courier.send_by(way, peer, ask.to, ask.negotiate, reply_to):
            self._arm()
        elif way is HERE:
            self.table.withdraw(ask.ticket)

    def _admit(self, way: Route, peer: Peer, ticket: str) -> Refused | None:
        """Open a wire to an actor here; None: there is one, or nobody to refuse it to."""
        assert peer.session.id is not None
        if not self.bounds.most:
            return self.table.count(Refused.OFF)
        if isinstance(way, There):
            return self.table.count(Refused.ELSEWHERE)
        if way is HERE:
            return self.table.open(ticket, peer.session.id.text, self._loop().time())
        return None

    def take(self, socket: WireSocket) -> End | None:
        """A socket has come, which is to show its ticket; None: it is one too many, and told."""
        why = self.table.enter(socket.address)
        if why is not None:
            socket.finish(*_WORDS[why])
            return None
        return End(self, socket)

    def join(self, ticket: str, end: End) -> Wire | None:
        """Seat an end; None: there is no place, and it has been told."""
        found = self.table.join(ticket, end)
        if isinstance(found, Wire):
            return found
        end.socket.finish(*_WORDS[found])
        return None

    def drop(self, wire: Wire) -> None:
        """A wire is over: close what is left of it."""
        self.table.drop(wire)
        for end in wire.ends:
            assert isinstance(end, End)
            end.socket.finish(LEFT, "the other end of the wire has gone")

    def _arm(self) -> None:
        due = self.table.due()
        if self._timer is None and due is not None:
            self._timer = self._loop().call_at(due, self._expire)

    def _expire(self) -> None:
        self._timer = None
        code, text = _WORDS[Refused.ALONE]
        for wire in self.table.expire(self._loop().time()):
            for end in wire.ends:
                assert isinstance(end, End)
                end.socket.finish(code, text)
        self._arm()


class End:
    """One end of a wire: takes what its socket brings (``web/websocket.py``, Receiver)."""

    def __init__(self, wires: RelayedWires, socket: WireSocket) -> None:
        self.socket = socket
        self._wires = wires
        self._wire: Wire | None = None
        self._far: End | None = None
        self._greeting_frames = GREETING_FRAMES
        self._loop = asyncio.get_running_loop()
        self._pace = Pace(wires.bounds.bytes_per_second, self._loop.time())
        self._pause: asyncio.TimerHandle | None = None
        self._is_over = False
        self._heard_at = self._loop.time()
        self._timer = self._loop.call_later(WAIT, self._look)

    # Receiver

    def arrived(self, size: int) -> bool:
        """Count a frame, also one of which nothing comes out at the other end."""
        if self._wire is None:
            self._greeting_frames -= 1
            if self._greeting_frames < 0:
                why = f"over {GREETING_FRAMES} frames before the ticket"
                self.socket.finish(Close.TOO_FAST, why)
                return False
        wait = self._pace.spend(size, self._loop.time())
        if wait and self._pause is None:
            self._pause = self._loop.call_later(wait, self._resume)
            self.see()
        return True

    def received(self, data: bytes | str) -> None:
        if isinstance(data, str):
            self.socket.finish(Close.BAD_MESSAGE, "a wire takes binary messages")
        elif self._wire is None:
            self._show(data)
        else:
            self._pass_on(data)

    def relieved(self) -> None:
        """What was sent here has been read: the other end may bring more."""
        if self._far is not None:
            self._far.see()

    def closed(self) -> None:
        self._is_over = True
        self._timer.cancel()
        if self._pause is not None:
            self._pause.cancel()
        self._wires.table.leave(self.socket.address)
        if self._wire is not None:
            self._wires.drop(self._wire)

    # Of the other end

    def meet(self, far: End) -> None:
        """The other one has come."""
        self._far = far
        self._heard_at = self._loop.time()
        self.see()

    def see(self) -> None:
        """Hold the socket up, or let it go on, as things stand."""
        if self._is_over:
            return
        if self._far is None or self._far.socket.is_slow or self._pause is not None:
            self.socket.hold_up()
        else:
            self.socket.go_on()

    def _show(self, data: bytes) -> None:
        self._wire = self._wires.join(read_ticket(data), self)
        if self._wire is None:
            return
        far = self._wire.other(self)
        if isinstance(far, End):
            self._far = far
            far.meet(self)
        self.see()

    def _pass_on(self, data: bytes) -> None:
        assert self._far is not None
        self._heard_at = self._loop.time()
        self._wires.passed_bytes += len(data)
        self._far.socket.send_message(data)
        if self._far.socket.is_slow:
            self.see()

    def _resume(self) -> None:
        self._pause = None
        self.see()

    def _look(self) -> None:
        """Nothing may have come for too long; what has moves the time, and not the timer."""
        if self._wire is None:
            self.socket.finish(Close.TIMED_OUT, "no ticket came in time")
            return
        heard_at = self._heard_at if self._far is None else max(self._heard_at, self._far._heard_at)
        due = heard_at + IDLE
        if self._loop.time() >= due:
            self.socket.finish(Close.TIMED_OUT, "nothing has gone through the wire for too long")
            return
        self._timer = self._loop.call_at(due, self._look)
