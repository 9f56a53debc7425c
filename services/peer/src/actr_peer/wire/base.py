"""What every wire is, whatever carries it.

A wire moves whole messages on numbered channels between two processes. It knows nothing of
lanes, envelopes or actors' code. Events are plain synchronous calls on the sink, made on the
event loop in order of arrival: no queue and no task per message (a queue hop costs 1.5 to 4 µs,
a task 2.4).
"""

from __future__ import annotations

from itertools import count
from typing import Protocol

from actr_peer.errors import PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.payload import WireKind

CHANNELS = 4
"""Channels 0 to 3: one for each byte payload type (docs/protocol.md)."""

_ids = count(1)


def next_wire_id() -> int:
    """A number that no other wire of this process has, now or later."""
    return next(_ids)


class WireSink(Protocol):
    """Who owns a wire hears from it here. An exception raised by a sink is a bug.

    A ``RemoteProtocolError`` or ``LimitError`` raised by ``message`` closes the wire.
    """

    def message(self, wire: Wire, channel: int, data: bytes) -> None:
        """One whole message arrived on ``channel``."""

    def writable(self, wire: Wire) -> None:
        """``buffered_bytes`` fell to the low-water mark after having been above the high one."""

    def closed(self, wire: Wire, error: PeerError | None) -> None:
        """The wire is gone, once, by whoever's doing; ``error`` is None for a clean close.

        No event of this wire follows.
        """


class Carrier(Protocol):
    """What takes whole messages for the far side: a wire, and the engine below a WebRTC wire."""

    @property
    def is_relayed(self) -> bool:
        """True where a TURN server is between, on either side; known when open."""

    @property
    def max_message_bytes(self) -> int:
        """Largest message the far side takes; known when open."""

    @property
    def buffered_bytes(self) -> int:
        """Bytes taken by :meth:`send` and not yet handed to the network, over all channels."""

    @property
    def is_full(self) -> bool:
        """From when ``buffered_bytes`` passes the high-water mark until ``writable``."""

    def send(self, channel: int, data: bytes) -> None:
        """Hand one message over; never waits. Lost if the connection breaks.

        Raises:
            BrokenError: If the connection is not open.
        """


class Wire(Carrier, Protocol):
    """One physical connection to a remote, open from birth until ``closed`` is reported.

    Its ``send`` refuses a message over ``max_message_bytes`` with a ``LimitError``.
    """

    @property
    def id(self) -> int:
        """From :func:`next_wire_id`: a late event of an old wire is known by it."""

    @property
    def kind(self) -> WireKind: ...

    @property
    def remote(self) -> ActrId: ...

    @property
    def pack_bytes(self) -> int:
        """Up to how many bytes small messages are to be packed into one of :meth:`send` now: what
        the far side takes, and less while the network is so slow that urgent ones would wait."""

    @property
    def was_dialled(self) -> bool:
        """True where this side asked for the connection."""

    @property
    def certificate(self) -> Certificate | None:
        """The far side's newest, proved to be its own; None: nothing but its word, or the secret of
        its realm, says who it is."""

    def attach(self, sink: WireSink) -> None:
        """Give all events to ``sink``, first those that waited (at most 64 messages)."""

    async def close(self) -> None:
        """Flush what was sent, within 2 s, and close; ``closed`` is reported before it returns.

        No message reaches the sink from the call on. Harmless when closed already; cancelling
        aborts.
        """

    def abort(self) -> None:
        """Close at once, from synchronous code; what was sent may be lost.

        ``closed`` is reported in a later turn of the loop, never while the caller runs.
        """
