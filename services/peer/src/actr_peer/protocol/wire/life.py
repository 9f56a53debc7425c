"""Sans-I/O: the life of one wire, whatever carries it: what each event means in each phase.

::

    CONNECTING ──▶ GREETING ──▶ OPEN ──▶ CLOSING ──▶ CLOSED
         └─────────────┴──────────┴──────────────────────▲

A wire goes down this line and never back. It leaves the first three phases once, for one cause,
and keeps that verdict whatever happens after: the far side is told its code, the sink its error.
GREETING is of WebSockets, whose handshake goes over the wire itself. What a table does not name
is late or repeated, and changes nothing.

The tables differ because the transports do. A WebSocket says good-bye on the connection that ends,
so it waits in CLOSING for the far side's answer, whoever broke what. A WebRTC connection is freed
at once, and what the far side should know goes by way of signaling; it is in CLOSING only while
what was sent is flushed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

from actr_peer.errors import LimitError, PeerError, RemoteProtocolError
from actr_peer.protocol.wire.close_codes import CloseCode


class Phase(Enum):
    CONNECTING = auto()
    GREETING = auto()
    """Connected, and the far side has not proved who it is."""
    OPEN = auto()
    """Messages go both ways."""
    CLOSING = auto()
    """Good-bye is said, or what was sent is flushed; no message reaches the sink."""
    CLOSED = auto()


class Event(Enum):
    CONNECTED = auto()
    OPENED = auto()
    """The handshake is done."""
    CLOSE = auto()
    """This side closes in good order."""
    FAULT = auto()
    """This side gives the wire up: the far side broke a rule, or something failed here."""
    OVERDUE = auto()
    """What was waited for did not come in time."""
    FAR_CLOSE = auto()
    """The far side says that it closes."""
    LOST = auto()
    """The connection below is gone."""
    FREED = auto()
    """What was begun by FLUSH or FREE is done."""
    ABORT = auto()
    """This side closes at once."""


class Act(Enum):
    GREET = auto()
    """Begin the handshake, for which there is so much time."""
    ADMIT = auto()
    """Hand the wire out."""
    SETTLE = auto()
    """Tell who waits for the wire that none comes."""
    SAY = auto()
    """Tell the far side the verdict; it has so long to answer."""
    ANSWER = auto()
    """Answer the far side's good-bye."""
    HANG_UP = auto()
    """End the stream; the far side has so long to end its own."""
    DROP = auto()
    """Wait for nothing more."""
    FLUSH = auto()
    """Send what was taken, within a bound, and free the connection."""
    FREE = auto()
    """Free the connection, and tell the far side the verdict if it gives a reason."""
    TELL = auto()
    """Report the end to the sink."""
    TELL_SOON = auto()
    """Likewise in a later turn, for the caller has the loop."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a wire ends."""

    error: PeerError | None = None
    """For this side's sink; None: all is well."""
    code: CloseCode = CloseCode.NORMAL
    reason: str = ""
    """For the far side."""

    @property
    def is_far_fault(self) -> bool:
        """Whether the far side broke a rule: nothing that it still says is looked at."""
        return isinstance(self.error, RemoteProtocolError | LimitError)


CLEAN = Verdict()

Step = tuple[Phase, tuple[Act, ...]]
Table = Mapping[tuple[Phase, Event], Step]

_LEAVING = (Phase.CLOSING, Phase.CLOSED)

WEBSOCKET: Table = MappingProxyType(
    {
        (Phase.CONNECTING, Event.CONNECTED): (Phase.GREETING, (Act.GREET,)),
        (Phase.CONNECTING, Event.CLOSE): (Phase.CLOSED, (Act.SETTLE, Act.TELL)),
        (Phase.CONNECTING, Event.LOST): (Phase.CLOSED, (Act.SETTLE, Act.TELL)),
        (Phase.CONNECTING, Event.ABORT): (Phase.CLOSED, (Act.TELL_SOON,)),
        (Phase.GREETING, Event.OPENED): (Phase.OPEN, (Act.ADMIT,)),
        (Phase.GREETING, Event.CLOSE): (Phase.CLOSING, (Act.SAY, Act.SETTLE)),
        (Phase.GREETING, Event.FAULT): (Phase.CLOSING, (Act.SAY, Act.SETTLE)),
        (Phase.GREETING, Event.OVERDUE): (Phase.CLOSING, (Act.SAY, Act.SETTLE)),
        (Phase.GREETING, Event.FAR_CLOSE): (
            Phase.CLOSED,
            (Act.ANSWER, Act.SETTLE, Act.TELL, Act.HANG_UP),
        ),
        (Phase.GREETING, Event.LOST): (Phase.CLOSED, (Act.SETTLE, Act.TELL)),
        (Phase.GREETING, Event.ABORT): (Phase.CLOSED, (Act.TELL_SOON, Act.DROP)),
        (Phase.OPEN, Event.CLOSE): (Phase.CLOSING, (Act.SAY,)),
        (Phase.OPEN, Event.FAULT): (Phase.CLOSING, (Act.SAY,)),
        (Phase.OPEN, Event.FAR_CLOSE): (Phase.CLOSED, (Act.ANSWER, Act.TELL, Act.HANG_UP)),
        (Phase.OPEN, Event.LOST): (Phase.CLOSED, (Act.TELL,)),
        (Phase.OPEN, Event.ABORT): (Phase.CLOSED, (Act.TELL_SOON, Act.DROP)),
        (Phase.CLOSING, Event.OVERDUE): (Phase.CLOSING, (Act.DROP,)),  # the loss follows
        (Phase.CLOSING, Event.FAR_CLOSE): (Phase.CLOSED, (Act.TELL, Act.HANG_UP)),
        (Phase.CLOSING, Event.LOST): (Phase.CLOSED, (Act.TELL,)),
        (Phase.CLOSING, Event.ABORT): (Phase.CLOSED, (Act.TELL_SOON, Act.DROP)),
        (Phase.CLOSED, Event.CONNECTED): (Phase.CLOSED, (Act.DROP,)),  # ended while dialling
        (Phase.CLOSED, Event.OVERDUE): (Phase.CLOSED, (Act.DROP,)),
        (Phase.CLOSED, Event.ABORT): (Phase.CLOSED, (Act.DROP,)),
    }
)

WEBRTC: Table = MappingProxyType(
    {
        (Phase.CONNECTING, Event.OPENED): (Phase.OPEN, (Act.ADMIT,)),
        (Phase.CONNECTING, Event.CLOSE): (Phase.CLOSING, (Act.FREE,)),
        (Phase.CONNECTING, Event.FAULT): (Phase.CLOSED, (Act.FREE, Act.TELL)),
        (Phase.CONNECTING, Event.OVERDUE): (Phase.CLOSED, (Act.FREE, Act.TELL)),
        (Phase.CONNECTING, Event.FAR_CLOSE): (Phase.CLOSED, (Act.FREE, Act.TELL)),
        (Phase.CONNECTING, Event.LOST): (Phase.CLOSED, (Act.FREE, Act.TELL)),
        (Phase.CONNECTING, Event.ABORT): (Phase.CLOSED, (Act.FREE, Act.TELL_SOON)),
        (Phase.OPEN, Event.CLOSE): (Phase.CLOSING, (Act.FLUSH,)),
        (Phase.OPEN, Event.FAULT): (Phase.CLOSED, (Act.FREE, Act.TELL)),
        (Phase.OPEN, Event.FAR_CLOSE): (Phase.CLOSED, (Act.FREE, Act.TELL)),
        (Phase.OPEN, Event.LOST): (Phase.CLOSED, (Act.FREE, Act.TELL)),
        (Phase.OPEN, Event.ABORT): (Phase.CLOSED, (Act.FREE, Act.TELL_SOON)),
        (Phase.CLOSING, Event.FREED): (Phase.CLOSED, (Act.TELL,)),
        (Phase.CLOSING, Event.ABORT): (Phase.CLOSING, (Act.DROP,)),  # FREED follows
    }
)


class WireLife:
    """One wire's: events in, acts out, nothing else.

    Attributes:
        phase: Where it is.
        verdict: Of the first cause that ended it; CLEAN until then.
    """

    __slots__ = ("_table", "phase", "verdict")

    def __init__(self, table: Table) -> None:
        self.phase = Phase.CONNECTING
        self.verdict = CLEAN
        self._table = table

    @property
    def is_leaving(self) -> bool:
        """Whether the wire ends or has ended."""
        return self.phase in _LEAVING

    def take(self, event: Event, verdict: Verdict = CLEAN) -> tuple[Act, ...]:
        """Take one event; return what the shell must do now, in order.

        Args:
            verdict: Why the wire ends, if this ends it.
        """
        phase, acts = self._table.get((self.phase, event), (self.phase, ()))
        if phase in _LEAVING and not self.is_leaving:
            self.verdict = verdict
        self.phase = phase
        return acts
