"""What a link looks like from outside: frozen values for the console, metrics and tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Protocol

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.payload import RELIABLE_LANES, RPC_LANES, PayloadType, WireKind
from actr_peer.protocol.session.frames import FIRST_REPLY_LANE
from actr_peer.protocol.session.lanes import LATENCY, Lanes, slot
from actr_peer.protocol.session.receiver import Receiver
from actr_peer.protocol.session.sender import Sender
from actr_peer.protocol.session.session import Session
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.transport.pool import Pool


@dataclass(frozen=True, slots=True)
class KindView:
    """One kind of wire to one remote."""

    kind: WireKind
    state: WireState
    rtt: float | None
    """Smoothed round trip in seconds; None before the first answer."""
    is_relayed: bool
    tries: int
    """Dials in a row that came to nothing."""
    missed: int = 0
    """Heartbeats in a row without an answer."""
    certificate: Certificate | None = None
    """What the far side has proved itself with on the wire that is there; None: with none."""


@dataclass(frozen=True, slots=True)
class LaneView:
    """Counters of one lane since the link was made."""

    sent: int
    """Messages accepted for sending."""
    received: int
    """Messages delivered."""
    resent: int
    """Frames sent again."""
    duplicates: int
    """Frames that had come before."""
    dropped: int
    """Messages dropped for age or number, latency-first only."""
    queued: int
    """Frames (latency-first: messages) that wait for their first sending."""
    sending_bytes: int
    """Held until the far side acknowledges."""
    receiving_bytes: int
    """Held back, or of unfinished messages."""
    frames: int = 0
    """Sent for the first time."""
    unfinished: int = 0
    """Messages of which a part never came, latency-first only."""
    replies: LaneView | None = None
    """What answers the messages of an RPC lane goes by one beside it; None of other lanes."""

    def past(self) -> LaneView:
        """The same once its link is gone: nothing is held any more."""
        replies = self.replies and self.replies.past()
        return replace(self, queued=0, sending_bytes=0, receiving_bytes=0, replies=replies)

    def plus(self, other: LaneView) -> LaneView:
        """Both together."""
        summed = {
            each.name: getattr(self, each.name) + getattr(other, each.name)
            for each in fields(self)
            if each.name != "replies"
        }
        replies = self.replies and other.replies and self.replies.plus(other.replies)
        return LaneView(**summed, replies=replies)


def every_lane(lanes: Mapping[PayloadType, LaneView]) -> Iterator[tuple[str, LaneView]]:
    """Each lane with its name; what answers on an RPC lane is one of its own, without more."""
    for lane, counted in lanes.items():
        yield lane.name, replace(counted, replies=None)
        if counted.replies is not None:
            yield f"{lane.name}_REPLY", counted.replies


@dataclass(frozen=True, slots=True)
class StreamView:
    """One half of a stream: what goes, or comes, on one channel."""

    remote: ActrId
    channel_id: str
    route_key: str
    """Of the method whose stream it is; empty: of none."""
    payload_type: PayloadType
    is_outbound: bool
    items: int
    """That were sent, or have come."""


@dataclass(frozen=True, slots=True)
class LinkView:
    """One link at one moment."""

    remote: ActrId
    wires: tuple[KindView, ...]
    """In order of preference."""
    active: WireKind | None
    """What new messages take."""
    lanes: Mapping[PayloadType, LaneView]
    trouble: str = ""
    """Why no wire is there, as the last dial or wire said; empty: one is, or nothing was said."""


class Half(Protocol):
    """What is looked at of a half."""

    channel_id: str
    route_key: str
    payload_type: PayloadType

    @property
    def is_outbound(self) -> bool: ...

    @property
    def remote(self) -> ActrId: ...

    @property
    def items(self) -> int: ...


def stream_views(halves: Iterable[Half], most: int) -> tuple[StreamView, ...]:
    """The first of ``halves``, at most so many."""
    return tuple(
        StreamView(
            remote=half.remote,
            channel_id=half.channel_id,
            route_key=half.route_key,
            payload_type=half.payload_type,
            is_outbound=half.is_outbound,
            items=half.items,
        )
        for half in islice(halves, most)
    )


_UNUSED = (WireState.IDLE, WireState.FAILED)


def wire_views(pool: Pool, session: Session) -> tuple[KindView, ...]:
    """How each kind of wire stands, in order of preference; a relayed one only where one is used,
    for nothing is wrong with a link that needs none."""
    views = []
    for kind, dials in pool.slots.by_kind.items():
        if kind is WireKind.RELAYED and pool.state(kind) in _UNUSED:
            continue
        wire = pool.wire(kind)
        end = session.ends.get(wire.id) if wire else None
        view = KindView(
            kind=kind,
            state=pool.state(kind),
            rtt=end.heart.srtt if end else None,
            is_relayed=wire.is_relayed if wire else False,
            tries=dials.tries,
            missed=end.heart.missed if end else 0,
            certificate=wire.certificate if wire else None,
        )
        views.append(view)
    return tuple(views)


def lane_views(lanes: Lanes) -> dict[PayloadType, LaneView]:
    """The counters of all four lanes."""
    views = {
        lane: _reliable(
            lanes.senders[lane],
            lanes.receivers[lane],
            replies=_replies(lanes, lane) if lane in RPC_LANES else None,
        )
        for lane in RELIABLE_LANES
    }
    late, early = lanes.latency_sender, lanes.latency_receiver
    views[LATENCY] = LaneView(
        sent=late.messages,
        received=early.messages,
        resent=0,
        duplicates=early.duplicates,
        dropped=late.dropped,
        queued=late.queued,
        sending_bytes=late.held_bytes,
        receiving_bytes=early.all_bytes,
        frames=late.sent,
        unfinished=early.unfinished,
    )
    return views


def _replies(lanes: Lanes, lane: PayloadType) -> LaneView:
    return _reliable(lanes.reply_sender(lane), lanes.receivers[slot(FIRST_REPLY_LANE + lane)])


def _reliable(sender: Sender, receiver: Receiver, *, replies: LaneView | None = None) -> LaneView:
    return LaneView(
        sent=sender.messages,
        received=receiver.messages,
        resent=sender.resent,
        duplicates=receiver.duplicates,
        dropped=0,
        queued=sender.queued,
        sending_bytes=sender.held_bytes,
        receiving_bytes=receiver.all_bytes,
        frames=sender.sent,
        replies=replies,
    )
