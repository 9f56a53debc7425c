"""Connections at the listener, from the accept until the far side has proved who it is."""

from __future__ import annotations

import logging
import ssl
from asyncio import (
    BaseTransport,
    BufferedProtocol,
    TimerHandle,
    Transport,
    gather,
    get_running_loop,
    sleep,
)
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from socket import socket
from typing import cast

from actr_peer.errors import PeerError
from actr_peer.protocol.websocket.door import Door, Sparing
from actr_peer.protocol.websocket.proofs import bound_nonce
from actr_peer.protocol.websocket.upgrade import Accept, Head, Refusal
from actr_peer.wire import tcp
from actr_peer.wire.websocket.framing import ListenerFraming
from actr_peer.wire.websocket.tls.contexts import binding
from actr_peer.wire.websocket.tls.sealed import Sealed
from actr_peer.wire.websocket.wire import Owner, WebSocketWire

log = logging.getLogger(__name__)

READ_BYTES = 4096
"""Of a head, in one turn."""
MAX_DISCARDED_BYTES = 64 * 1024
"""Read after a refusal, so that it is not lost in a reset."""
ACCEPT_AGAIN_SECONDS = 1.0
"""After an accept that failed for want of descriptors or memory."""
ACCEPTS_A_TURN = 32
SPARE_DESCRIPTORS = 64
"""Kept for dials, datagram sockets and files when connections would take all."""

_NOTHING = memoryview(b"")
_NO_TLS = Refusal(
    HTTPStatus.BAD_REQUEST, "only TLS 1.3 is spoken here: the address begins with wss://"
).to_bytes()
_BUSY = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many unfinished handshakes").to_bytes()


class Arrivals:
    """All of one listener; :meth:`close` sends away who still waits.

    Args:
        judge: Says what is answered to the request with this head.
        make_wire: Makes the listener's end of a new wire, by owner and nonce (empty: a random one).
        on_wire: Given each wire whose far side has proved who it is.
        on_gone: Told when such a wire has closed.
        context: TLS that everybody has to speak; None: nobody may.
        raw: Where its ciphertext is read to (``tls/sealed.py``).
    """

    def __init__(
        self,
        judge: Callable[[bytes], Accept | Refusal],
        make_wire: Callable[[Owner, bytes], WebSocketWire],
        on_wire: Callable[[WebSocketWire], None],
        on_gone: Callable[[WebSocketWire], None],
        *,
        door: Door | None = None,
        context: ssl.SSLContext | None = None,
        raw: memoryview = _NOTHING,
    ) -> None:
        self.door = Door() if door is None else door
        self.judge, self.make_wire = judge, make_wire
        self.on_wire = on_wire
        self.on_gone = on_gone
        self._loop = get_running_loop()
        self._timer: TimerHandle | None = None
        self._waiting: set[_Arrival] = set()
        self._refused = Sparing()
        self._context = context
        self._raw = raw

    async def serve(self, sock: socket) -> None:
        """Accept on a listening socket, some connections in a turn, until cancelled.

        ``asyncio``'s own server tries to accept a hundred times when there is no descriptor left,
        and each try logs and sets a timer of its own.
        """
        while True:
            try:
                waiting = [await self._loop.sock_accept(sock)]
            except ConnectionError:
                continue  # it has gone again
            except OSError as exc:
                self.complain("", f"cannot accept: {exc.strerror}")
                await sleep(ACCEPT_AGAIN_SECONDS)
                continue
            while len(waiting) < ACCEPTS_A_TURN:
                try:
                    waiting.append(sock.accept())
                except OSError:
                    break  # nobody else waits; of other trouble the next turn tells
            untaken = {accepted for accepted, _ in waiting}
            try:
                await gather(
                    *(self._take(one, str(address[0]), untaken) for one, address in waiting)
                )
            finally:
                for accepted in untaken:
                    accepted.close()

    async def _take(self, accepted: socket, host: str, untaken: set[socket]) -> None:
        untaken.discard(accepted)
        accepted.settimeout(0)
        arrival = _Arrival(self, host)
        try:
            if self.admit(arrival, accepted.fileno()):
                protocol = self._protocol(arrival)
                await self._loop.connect_accepted_socket(lambda: protocol, accepted)
                return
            with suppress(OSError):
                accepted.send(_BUSY)
        except OSError:
            pass  # it has gone again
        except BaseException:
            accepted.close()
            self.left(arrival)
            raise
        accepted.close()
        self.left(arrival)

    def _protocol(self, arrival: _Arrival) -> BufferedProtocol:
        if self._context is None:
            return arrival
        arrival.sealed = Sealed(
            self._context, arrival, self._raw, is_listener=True, plain_answer=_NO_TLS
        )
        return arrival.sealed

    def close(self) -> None:
        for arrival in tuple(self._waiting):
            arrival.abort()
        if self._timer is not None:
            self._timer.cancel()

    # Of the arrivals

    def admit(self, arrival: _Arrival, descriptor: int) -> bool:
        """Give a place; False: there is none."""
        host, now = arrival.host, self._loop.time()
        if tcp.is_spare(descriptor, SPARE_DESCRIPTORS):
            self.complain(host, "no file descriptors are left")
            return False
        is_in, victim = self.door.admit(arrival, host, now)
        if isinstance(victim, _Arrival):
            self.complain(host, "another newcomer takes its place")
            victim.abort()
        if not is_in:
            self.complain(host, "too many unfinished handshakes")
            return False
        self._waiting.add(arrival)
        self._arm()
        return True

    def proved(self, arrival: _Arrival) -> None:
        self._waiting.discard(arrival)
        self.door.proved(arrival)

    def left(self, arrival: _Arrival) -> None:
        self._waiting.discard(arrival)
        self.door.leave(arrival)

    def complain(self, host: str, why: str) -> None:
        """Log a connection that is turned away, one in ten seconds, and how many are not."""
        left_out = self._refused.take(self._loop.time())
        if left_out is not None:
            log.warning("turned away: from=%s cause=%s unlogged=%d", host, why, left_out)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.door.due()
        self._timer = None if due is None else self._loop.call_at(due, self._expire)

    def _expire(self) -> None:
        for late in self.door.expire(self._loop.time()):
            if isinstance(late, _Arrival):
                late.time_out()
        self._arm()


class _Arrival(BufferedProtocol):
    """One connection, until its wire has it; the owner of that wire.

    It reads one head, in bounded steps, and answers it. A refusal is followed by the end of the
    stream; what still comes is thrown away until the far side ends, too, or its place is over.
    """

    def __init__(self, arrivals: Arrivals, host: str) -> None:
        self.host = host
        self._arrivals = arrivals
        self._transport: Transport | None = None
        self.sealed: Sealed | None = None
        """What is between it and the socket, on a wire in TLS."""
        self._head = Head()
        self._buffer = bytearray(READ_BYTES)
        self._discarded: int | None = None
        self._wire: WebSocketWire | None = None
        self._is_proved = False
        self._is_aborted = False
        """Also where it has no transport yet."""

    # Events of the loop

    def connection_made(self, transport: BaseTransport) -> None:
        self._transport = cast("Transport", transport)
        if self._is_aborted:
            self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        if self._discarded is not None:
            self._discarded += nbytes
            if self._discarded > MAX_DISCARDED_BYTES:
                self.abort()
            return
        try:
            whole = self._head.feed(memoryview(self._buffer)[:nbytes])
        except Refusal as refusal:
            self._refuse(refusal)
            return
        if whole is None:
            return
        verdict = self._arrivals.judge(whole[0])
        if isinstance(verdict, Accept):
            self._upgrade(verdict, whole[1])
        else:
            self._refuse(verdict)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.sealed is not None and self.sealed.failure is not None:
            self._arrivals.complain(self.host, str(self.sealed.failure))
        self._arrivals.left(self)

    # Of the arrivals

    def time_out(self) -> None:
        """Its time is over."""
        if self._wire is not None:
            self._wire.time_out()
        elif self._discarded is None and self._transport is not None:
            late = Refusal(HTTPStatus.REQUEST_TIMEOUT, "no upgrade came in time")
            self._transport.write(late.to_bytes())
        self.abort()

    def abort(self) -> None:
        self._is_aborted = True
        if self._wire is not None:
            self._wire.abort()
        elif self._transport is not None:
            self._transport.abort()
        elif self.sealed is not None:
            self.sealed.abort()

    # Of the wire (wire.py, Owner)

    def connected(self, wire: WebSocketWire) -> None: ...
    def settled(self, wire: WebSocketWire, error: PeerError | None) -> None:
        if error is None:
            self._is_proved = True
            self._arrivals.proved(self)
            self._arrivals.on_wire(wire)
        else:
            self._arrivals.complain(self.host, str(error))

    def gone(self, wire: WebSocketWire) -> None:
        self._arrivals.left(self)
        if self._is_proved:
            self._arrivals.on_gone(wire)

    def _upgrade(self, accept: Accept, tail: bytes) -> None:
        assert self._transport is not None
        nonce = bound_nonce(binding(self._transport)) if accept.proof else b""
        wire = self._wire = self._arrivals.make_wire(self, nonce)
        framing = ListenerFraming(wire, wire, accept)
        self._transport.set_protocol(framing)
        framing.connection_made(self._transport)
        framing.begin(tail, with_proof=bool(nonce))

    def _refuse(self, refusal: Refusal) -> None:
        assert self._transport is not None
        self._discarded = 0
        self._transport.write(refusal.to_bytes())
        self._transport.write_eof()
        self._arrivals.complain(self.host, str(refusal))
