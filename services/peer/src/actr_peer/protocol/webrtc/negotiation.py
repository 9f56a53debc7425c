"""Sans-I/O: who offers, who answers, and what each message means now.

aiortc has no rollback, so two crossing offers cannot be undone. We never let them cross: of
the two ends of a connection one is the *offerer* for its life (the smaller actor id), and the
other *asks* it for an offer. Source: W3C WebRTC 1.0, section 10.7 (perfect negotiation);
docs/decisions/0003-single-offerer.md says why ours differs.

Every offer has an exchange number, counted from 1 on each connection; its answer repeats it.
What belongs to an older exchange is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from types import MappingProxyType
from typing import Literal

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.identity import ActrId

TrackKind = Literal["audio", "video"]


def _no_tracks() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServer:
    """A STUN or TURN server, as the signaling service or the operator names it."""

    urls: tuple[str, ...]
    """``stun:host:port``, ``turn:host:port?transport=udp`` or ``turns:…``."""
    username: str = ""
    credential: str = field(default="", repr=False)


class RequestCause(IntEnum):
    """Why an offer is asked for; the values are those of ``actr/signaling.proto``."""

    CONNECT = 0
    TRACKS = 1
    NETWORK_CHANGED = 2


@dataclass(frozen=True, slots=True)
class Offer:
    """A description, and the sender's tracks in it."""

    sdp: str
    track_ids: Mapping[str, str] = field(default_factory=_no_tracks)
    """mid of a media section to the id of the track that the sender of this sends there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """As :class:`Offer`, from the side that answers."""

    sdp: str
    track_ids: Mapping[str, str] = field(default_factory=_no_tracks)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to reach the sender."""

    candidate: str
    """The attribute without ``candidate:``; empty: there are no more."""
    sdp_mid: str = ""
    sdp_m_line_index: int = 0


@dataclass(frozen=True, slots=True)
class RequestOffer:
    """From the side that does not offer: make an offer."""

    cause: RequestCause
    tracks: Mapping[str, str] = field(default_factory=_no_tracks)
    """Ids of all tracks that the asker wants to send, each with ``audio`` or ``video``."""


@dataclass(frozen=True, slots=True)
class Bye:
    """The connection is given up."""

    reason: str


@dataclass(frozen=True, slots=True)
class Join:
    """Come to the signaling service for a relayed wire, with the connection id as the ticket."""


Body = Offer | Answer | Candidate | RequestOffer | Bye | Join


@dataclass(frozen=True, slots=True)
class Proof:
    """What its sender signed of a description (``protocol/identity/descriptions.py``)."""

    statement: bytes
    certificate: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class NegotiateMessage:
    """What one end of a connection says to the other by way of signaling."""

    connection_id: str
    """Chosen by the offerer; empty in a request for a new connection."""
    exchange: int
    body: Body
    proof: Proof | None = None


class Role(Enum):
    """Fixed for the life of a connection."""

    OFFERER = auto()
    ANSWERER = auto()


def role_of(local: ActrId, remote: ActrId) -> Role:
    """The smaller id offers, whoever asked for the connection."""
    return Role.OFFERER if local < remote else Role.ANSWERER


class State(Enum):
    STABLE = auto()
    WAITING = auto()
    """An offer, or a request for one, is on its way."""
    WAITING_AGAIN = auto()
    """As WAITING, and something changed since: go round once more after."""
    CLOSED = auto()


class Input(Enum):
    CHANGED = auto()
    """A track was added or taken away here: the description is out of date."""
    REQUEST = auto()
    """The answerer asks for an offer."""
    OFFER = auto()
    ANSWER = auto()
    OVERDUE = auto()
    """What was sent, or what it should bring, got lost: say it again."""
    CLOSE = auto()


class Action(Enum):
    SEND_OFFER = auto()
    SEND_REQUEST = auto()
    APPLY_AND_ANSWER = auto()
    APPLY_ANSWER = auto()
    CLOSE_CONNECTION = auto()


Step = tuple[State, tuple[Action, ...]]

OFFERER: Mapping[tuple[State, Input], Step] = MappingProxyType(
    {
        (State.STABLE, Input.CHANGED): (State.WAITING, (Action.SEND_OFFER,)),
        (State.STABLE, Input.REQUEST): (State.WAITING, (Action.SEND_OFFER,)),
        (State.STABLE, Input.OVERDUE): (State.STABLE, ()),
        (State.STABLE, Input.ANSWER): (State.STABLE, ()),  # a repeated answer
        (State.WAITING, Input.CHANGED): (State.WAITING_AGAIN, ()),
        (State.WAITING, Input.REQUEST): (State.WAITING_AGAIN, ()),
        (State.WAITING, Input.ANSWER): (State.STABLE, (Action.APPLY_ANSWER,)),
        (State.WAITING, Input.OVERDUE): (State.WAITING, (Action.SEND_OFFER,)),
        (State.WAITING_AGAIN, Input.CHANGED): (State.WAITING_AGAIN, ()),
        (State.WAITING_AGAIN, Input.REQUEST): (State.WAITING_AGAIN, ()),
        (State.WAITING_AGAIN, Input.ANSWER): (
            State.WAITING,
            (Action.APPLY_ANSWER, Action.SEND_OFFER),
        ),
        # The new offer holds what changed: one round does for both.
        (State.WAITING_AGAIN, Input.OVERDUE): (State.WAITING, (Action.SEND_OFFER,)),
    }
)

ANSWERER: Mapping[tuple[State, Input], Step] = MappingProxyType(
    {
        (State.STABLE, Input.CHANGED): (State.WAITING, (Action.SEND_REQUEST,)),
        (State.STABLE, Input.OFFER): (State.STABLE, (Action.APPLY_AND_ANSWER,)),
        (State.STABLE, Input.OVERDUE): (State.STABLE, ()),
        (State.WAITING, Input.CHANGED): (State.WAITING_AGAIN, ()),
        (State.WAITING, Input.OFFER): (State.STABLE, (Action.APPLY_AND_ANSWER,)),
        (State.WAITING, Input.OVERDUE): (State.WAITING, (Action.SEND_REQUEST,)),
        (State.WAITING_AGAIN, Input.CHANGED): (State.WAITING_AGAIN, ()),
        (State.WAITING_AGAIN, Input.OFFER): (
            State.WAITING,
            (Action.APPLY_AND_ANSWER, Action.SEND_REQUEST),
        ),
        (State.WAITING_AGAIN, Input.OVERDUE): (State.WAITING, (Action.SEND_REQUEST,)),
    }
)

TABLES: Mapping[Role, Mapping[tuple[State, Input], Step]] = MappingProxyType(
    {Role.OFFERER: OFFERER, Role.ANSWERER: ANSWERER}
)


class Negotiation:
    """One connection's negotiation: inputs in, actions out, nothing else.

    Attributes:
        exchange: At the offerer, of the last offer made; at the answerer, of the last taken.
    """

    def __init__(self, role: Role) -> None:
        self.role = role
        self.state = State.STABLE
        self.exchange = 0

    def handle(self, event: Input, exchange: int = 0) -> tuple[Action, ...]:
        """Take one input; return what the shell must do now, in order.

        Args:
            event: What happened.
            exchange: For OFFER and ANSWER, the number that came with it.

        Raises:
            RemoteProtocolError: If the far side may not send this now. Nothing changed.
        """
        if self.state is State.CLOSED:
            return ()
        if event is Input.CLOSE:
            self.state = State.CLOSED
            return (Action.CLOSE_CONNECTION,)
        if self._is_old(event, exchange):
            return ()
        try:
            state, actions = TABLES[self.role][self.state, event]
        except KeyError:
            where = f"{self.role.name} in {self.state.name}"
            raise RemoteProtocolError(f"{event.name} at {where}") from None
        self.state = state
        if event is Input.OFFER:
            self.exchange = exchange
        self.exchange += actions.count(Action.SEND_OFFER)
        return actions

    def _is_old(self, event: Input, exchange: int) -> bool:
        """Whether ``event`` belongs to an exchange that is over.

        Raises:
            RemoteProtocolError: If it answers an offer that was never made.
        """
        if event is Input.OFFER and self.role is Role.ANSWERER:
            return exchange <= self.exchange
        if event is Input.ANSWER and self.role is Role.OFFERER:
            if exchange > self.exchange:
                raise RemoteProtocolError(f"answer {exchange} to offer {self.exchange}")
            return exchange < self.exchange
        return False
