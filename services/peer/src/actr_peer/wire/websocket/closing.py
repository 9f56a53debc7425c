"""How a WebSocket connection ends: a close frame, its answer, the end of the stream, in time.

The framing library waits for none of it (docs/decisions/0010-websocket-wire.md).
"""

from __future__ import annotations

from asyncio import TimerHandle, get_running_loop
from collections.abc import Callable

from picows import WSCloseCode, WSTransport

from actr_peer.protocol.wire.life import Verdict

CLOSE_SECONDS = 2.0
"""For the far side's answer, and for the end of its stream."""
MAX_REASON_BYTES = 120
"""A control frame has room for 123 (RFC 6455, section 5.5)."""


class Closing:
    """One connection's; owned by its wire, which says when.

    Args:
        overdue: Called when what is waited for has not come in time.
    """

    __slots__ = ("_loop", "_overdue", "_timer", "_transport")

    def __init__(self, overdue: Callable[[], None]) -> None:
        self._loop = get_running_loop()
        self._overdue = overdue
        self._timer: TimerHandle | None = None
        self._transport: WSTransport | None = None

    def connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def disconnected(self) -> None:
        """Nothing is waited for any more, and nobody is held."""
        self.stop_waiting()
        self._transport = None
        self._overdue = _nothing

    def wait(self, seconds: float) -> None:
        """Wait so long for the next thing, and no longer for the one before."""
        self.stop_waiting()
        self._timer = self._loop.call_later(seconds, self._overdue)

    def stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def say(self, verdict: Verdict) -> None:
        """Send the close frame; of who broke a rule only the end of its stream is waited for."""
        assert self._transport is not None
        reason = verdict.reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore").encode()
        self._transport.send_close(WSCloseCode(verdict.code), reason)
        tcp = self._transport.underlying_transport
        tcp.resume_reading()
        if verdict.is_far_fault and tcp.can_write_eof():
            tcp.write_eof()
        self.wait(CLOSE_SECONDS)

    def answer(self) -> None:
        """Answer the far side's close frame."""
        assert self._transport is not None
        self._transport.send_close(WSCloseCode.OK)

    def hang_up(self) -> None:
        """End the stream, once what is written has gone."""
        assert self._transport is not None
        self._transport.disconnect()
        self.wait(CLOSE_SECONDS)

    def drop(self) -> None:
        """End the connection at once; harmless where there is none."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)


def _nothing() -> None: ...
