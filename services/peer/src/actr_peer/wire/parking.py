"""Between a wire and its sink: what comes early waits, the end is told once."""

from __future__ import annotations

from asyncio import get_running_loop
from collections.abc import Callable

from actr_peer.errors import BrokenError, LimitError, PeerError
from actr_peer.wire.base import Wire, WireSink

MAX_PARKED = 64


class Parking:
    """One wire's; the wire calls ``deliver(wire, channel, data)`` for each message.

    Attributes:
        deliver: Parks while there is no sink, and is the sink's own method after: no call more.
    """

    __slots__ = ("_is_told", "_parked", "_sink", "deliver")

    def __init__(self) -> None:
        self.deliver: Callable[[Wire, int, bytes], None] = self._park
        self._sink: WireSink | None = None
        self._parked: list[tuple[int, bytes]] = []
        self._is_told = False

    def attach(self, sink: WireSink) -> list[tuple[int, bytes]]:
        """Give everything to ``sink`` from now on; return what waited, for the wire to deliver."""
        self._sink = sink
        self.deliver = sink.message
        parked, self._parked = self._parked, []
        return parked

    def writable(self, wire: Wire) -> None:
        if self._sink is not None:
            self._sink.writable(wire)

    def closed(self, wire: Wire, error: PeerError | None) -> None:
        """Report the end, once, as soon as there is a sink: call it again after :meth:`attach`."""
        if self._sink is not None and not self._is_told:
            self._is_told = True
            self._sink.closed(wire, error)

    def _park(self, wire: Wire, channel: int, data: bytes) -> None:
        if len(self._parked) == MAX_PARKED:
            raise LimitError(
                "messages before the wire is used", limit=MAX_PARKED, asked=MAX_PARKED + 1
            )
        self._parked.append((channel, data))


def blame_sink(wire: Wire, exc: Exception) -> BrokenError:
    """Show a sink's failure, which is a bug here, to the loop's handler; return the wire's end."""
    error = BrokenError(f"closed by a failure on this side: {exc!r}")
    error.__cause__ = exc
    get_running_loop().call_exception_handler(
        {"message": "wire sink failed", "exception": exc, "wire": wire}
    )
    return error
