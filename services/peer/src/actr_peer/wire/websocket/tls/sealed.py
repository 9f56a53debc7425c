"""TLS between a socket and what speaks over it: a protocol to the one, a transport to the other.

The event loops have a TLS of their own. Theirs is begun by a coroutine, and so by a task for each
stranger; it reads on for as long as there is something, where a wire reads its share of a turn
(``wire/websocket/framing.py``); and it hides what failed. This one is begun by the connection and
is stepped by what comes, so that the listener's places, its patience and its complaints are those
of any connection. What TLS does, OpenSSL does, by the standard library.
"""

from __future__ import annotations

import ssl
from asyncio import BaseTransport, BufferedProtocol, Transport, get_running_loop
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol, cast

from actr_peer.wire.websocket.tls.records import Records

RAW_BYTES = 272 * 1024
"""Of one read of a socket: what a wire reads in a turn, and what TLS adds to it."""
FLUSH_BYTES = 32 * 1024
"""Ciphertext that waits for the end of a turn at most: as much as makes a wire full."""
_HANDSHAKE_RECORD, _ALERT_RECORD = 0x16, 0x15


class Above(Protocol):
    """What speaks over it."""

    def connection_made(self, transport: BaseTransport) -> None: ...
    def get_buffer(self, sizehint: int) -> Any: ...
    def buffer_updated(self, nbytes: int) -> None: ...
    def eof_received(self) -> bool | None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class SealError(ConnectionError):
    """TLS cannot go on: the far side speaks none, or what came is not what was sent."""


class Sealed(BufferedProtocol, Transport):
    """One connection's.

    Args:
        context: Ours.
        above: Told of the connection when TLS stands, and of its loss in any case.
        raw: Where ciphertext is read to, ``RAW_BYTES``; all of one loop may share it, for it is
            taken before the loop reads again.
        is_listener: Which side this is.
        plain_answer: What a listener answers to who speaks no TLS.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        above: Above,
        raw: memoryview,
        *,
        is_listener: bool,
        plain_answer: bytes = b"",
    ) -> None:
        super().__init__()
        self.failure: SealError | None = None
        self.is_sealed = False  # the TLS handshake is done
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=is_listener)
        self._records = Records(self._tls, self._incoming, self._outgoing)
        self._above = above
        self._filled: Callable[[int], None] | None = None
        self._raw = raw
        self._plain_answer = plain_answer
        self._below: Transport | None = None
        self._loop = get_running_loop()
        self._is_begun = False
        self._is_gathering = False  # something has gone in this turn: the rest waits
        self._is_paused = False
        self._is_ended = False  # nothing is sent any more, and what comes is thrown away
        self._is_aborted = False

    # Events of the socket

    def connection_made(self, transport: BaseTransport) -> None:
        self._below = cast("Transport", transport)
        if self._is_aborted:
            self._below.abort()
        else:
            self._shake()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._raw

    def buffer_updated(self, nbytes: int) -> None:
        if self._is_ended:
            self._throw_away(nbytes)
            return
        if not self._is_begun and not self._begin(self._raw[0]):
            return
        self._incoming.write(self._raw[:nbytes])
        if self.is_sealed or self._shake():
            self._read(may_be_more=nbytes == len(self._raw))

    def eof_received(self) -> bool | None:
        return self._above.eof_received() if self.is_sealed else None

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_ended = True
        self._above.connection_lost(self.failure or exc)

    def pause_writing(self) -> None:
        self._above.pause_writing()

    def resume_writing(self) -> None:
        self._above.resume_writing()

    # What a transport is

    def set_protocol(self, protocol: Any) -> None:
        self._above = protocol
        self._filled = getattr(protocol, "filled", None)

    def get_protocol(self) -> Any:
        return self._above

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self._tls
        return default if self._below is None else self._below.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._is_ended or self._below is None or self._below.is_closing()

    def is_reading(self) -> bool:
        return not (self._is_paused or self.is_closing())

    def pause_reading(self) -> None:
        self._is_paused = True
        if self._below is not None:
            self._below.pause_reading()

    def resume_reading(self) -> None:
        if self._is_paused and self._below is not None:
            self._is_paused = False
            if self._records.unread:
                self._loop.call_soon(self._go_on)
            else:
                self._below.resume_reading()

    def write(self, data: Any) -> None:
        self.writelines((data,))

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        if self.is_closing() or not self.is_sealed:
            return
        try:
            self._records.write(list_of_data)
            if self._is_gathering:
                if self._outgoing.pending >= FLUSH_BYTES:
                    self._flush()
                return
            self._records.end()
        except ssl.SSLError as exc:
            self._fail(exc)
            return
        self._flush()
        self._is_gathering = True
        self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._is_gathering = False
        if not self.is_closing():
            with suppress(ssl.SSLError):  # the next read or write meets it again, and tells
                self._records.end()
            self._flush()

    def can_write_eof(self) -> bool:
        return self._below is not None and self._below.can_write_eof()

    def write_eof(self) -> None:
        """End what is sent; what still comes is thrown away, for it is not heard."""
        if self._below is not None and not self.is_closing():
            self._say_goodbye()
            self._below.write_eof()

    def get_write_buffer_size(self) -> int:
        return self._records.unsent + (self._below.get_write_buffer_size() if self._below else 0)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return (0, 0) if self._below is None else self._below.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if self._below is not None:
            self._below.set_write_buffer_limits(high, low)

    def close(self) -> None:
        if self._below is not None and not self._below.is_closing():
            self._say_goodbye()
            self._below.close()

    def abort(self) -> None:
        self._is_aborted = self._is_ended = True
        if self._below is not None:
            self._below.abort()

    # TLS

    def _begin(self, first: int) -> bool:
        """See by the first byte whether the far side speaks TLS at all."""
        self._is_begun = True
        if first == _HANDSHAKE_RECORD or (first == _ALERT_RECORD and not self._plain_answer):
            return True
        assert self._below is not None
        if self._plain_answer:
            self._below.write(self._plain_answer)
        self._give_up("it speaks no TLS, which is due here")
        return False

    def _shake(self) -> bool:
        """Go on with the handshake; True: it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as exc:
            self._fail(exc)
            return False
        self._flush()
        self.is_sealed = True
        self._above.connection_made(self)
        return True

    def _read(self, *, may_be_more: bool) -> None:
        """Give what has come to who is above, as much as it has room for in one turn.

        Args:
            may_be_more: The socket had as much as was asked for, or more.
        """
        is_over = False
        while not (self._is_paused or self._is_ended or is_over):
            room = memoryview(self._above.get_buffer(-1))
            try:
                size, is_over = self._records.read(room)
            except ssl.SSLError as exc:
                self._fail(exc)
                return
            if size:
                if may_be_more and size < len(room) and self._filled is not None:
                    self._filled(size)
                self._above.buffer_updated(size)
            if size < len(room):
                break
        if self._outgoing.pending and not (self._is_gathering or self._is_ended):
            self._flush()  # an answer to a new key
        if is_over and not self._is_ended and not self._above.eof_received():
            self.close()

    def _go_on(self) -> None:
        if self._is_paused or self._below is None or self._below.is_closing():
            return
        if self.is_sealed and self._records.unread:
            self._read(may_be_more=True)
        if not self._is_paused:
            self._below.resume_reading()

    def _flush(self) -> None:
        if self._outgoing.pending and self._below is not None:
            self._below.write(self._outgoing.read())

    def _throw_away(self, size: int) -> None:
        """Let who is above count what it does not hear."""
        while size > 0 and self._below is not None and not self._below.is_closing():
            part = min(size, len(memoryview(self._above.get_buffer(-1))))
            self._above.buffer_updated(part)
            size -= part

    def _say_goodbye(self) -> None:
        if self.is_sealed and not self._is_ended:
            with suppress(ssl.SSLError):  # its answer is not waited for: the WebSocket has said it
                self._records.end()
                self._tls.unwrap()
            self._flush()
        self._is_ended = True

    def _fail(self, exc: ssl.SSLError) -> None:
        reason = (exc.reason or str(exc)).lower().replace("_", " ")
        self._flush()  # the alert
        self._give_up(f"TLS failed: {reason}")

    def _give_up(self, why: str) -> None:
        assert self._below is not None
        self.failure = SealError(why)
        self._is_ended = True
        if self._below.get_write_buffer_size():
            self._below.abort()
        else:
            self._below.close()
