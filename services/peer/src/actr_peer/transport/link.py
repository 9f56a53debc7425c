"""A link: all that concerns one remote: its session, its lanes, its wires.

::

    Lane.send ─ submit ─▶ Session ─ Pump ─▶ Wire         Wire ─▶ Bundle ─▶ Session ─▶ LinkSink
                             ▲ tick                        Pool ─ dials ─▶ Wire
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import AbstractEventLoop, Event, Future
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Literal, Protocol, assert_never, overload

from actr_peer import errors
from actr_peer.errors import BrokenError, ClosedError, LimitError, PeerError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import (
    MAX_MESSAGE_BYTES,
    RPC_LANES,
    PayloadType,
    WireKind,
)
from actr_peer.protocol.session.budget import Budget, Holding
from actr_peer.protocol.session.frames import ByeReason
from actr_peer.protocol.session.lanes import AnySender
from actr_peer.protocol.session.session import Session
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.tasks import note_failure
from actr_peer.transport.bundle import Bundle
from actr_peer.transport.lane import ByteLane
from actr_peer.transport.link_view import LinkView, lane_views, wire_views
from actr_peer.transport.pool import WireSetup
from actr_peer.transport.publications import TrackLane, TrackLanes
from actr_peer.wire.base import Wire

log = logging.getLogger(__name__)

LULL = 5.0
"""Seconds without a message after which a side agrees to close an idle link, and within which
the other side takes a goodbye for that answer."""
FLUSH_SECONDS = 3.0
"""How long closing waits for the far side to acknowledge what it was sent."""


class LinkSink(Protocol):
    """Who owns links hears from them here, on the event loop.

    A ``RemoteProtocolError`` or ``LimitError`` from ``message`` says that the far side broke the
    rules; the link is dropped. Raising anything else is a bug; it ends that link and nothing else.
    """

    def message(self, link: Link, payload_type: PayloadType, message: bytes, number: int) -> None:
        """A message arrived; RPC lanes: call ``link.acknowledge(payload_type, number)`` when it
        is stored."""

    def reset(self, link: Link, last_delivered: Mapping[PayloadType, int]) -> None:
        """The far process has restarted. What its predecessor had not acknowledged is sent again
        on RPC lanes, and dropped on stream lanes; the mapping has the last numbers of this
        side's frames that it acknowledged, -1 for none."""

    def gone(self, link: Link, error: PeerError) -> None:
        """The link is removed for good: pending calls fail."""

    def wire_changed(self, link: Link, kind: WireKind, state: WireState, wire: Wire | None) -> None:
        """A kind of wire has another state now, or another wire carries it: ``wire``, if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSetup(WireSetup):
    """What all links of one transport share."""

    sink: LinkSink
    removed: Callable[[Link], None]
    """The link takes nothing more: the next message to its remote needs another."""
    in_use: Callable[[Link], bool]
    """Whether something above needs a link in which nothing happens."""
    incarnation: Callable[[], int]
    """A new one for each session."""
    tracks: TrackLanes = field(default_factory=TrackLanes)
    """Which outlive links: a track goes on over the next one."""
    posted: Budget = field(default_factory=Budget)
    """What may wait in all of them for the far sides to acknowledge it."""


class Link:
    """Made by :class:`~actr_peer.transport.remote.RemoteTransport`, one for each remote.

    It owns its wires, through its bundle, and closes them.
    """

    def __init__(self, remote: ActrId, setup: LinkSetup, session: Session) -> None:
        self.remote = remote
        self.loop: AbstractEventLoop = asyncio.get_running_loop()
        self.used_at = self.loop.time()
        """When a message was last sent or received, seconds."""
        self._setup = setup
        self.deliver: Callable[[PayloadType, bytes, int], None] = partial(setup.sink.message, self)
        self._session = session
        session.account.on_drop(self._dropped)
        self._bundle = Bundle(self, setup, session, self.loop)
        self._pump = self._bundle.pump
        self._posted = Holding(setup.posted, self._dropped)
        self._lanes: list[ByteLane | None] = [None] * len(PayloadType)
        self._made: list[ByteLane] = []
        self._error: PeerError | None = None
        """Why the link is gone, once it is."""
        self.is_shut = False
        """Nothing can be sent any more: it is gone, or this side closes it."""
        self._asked_at = -inf
        """When BYE(IDLE) was last said; an answer comes soon or never."""
        self._quiet: Future[None] | None = None
        """Done when all that was accepted is acknowledged; made by :meth:`close`."""
        self._is_usable = Event()
        """Set when a wire has come up, and when none will."""

    def __repr__(self) -> str:
        states = ", ".join(f"{k.value} {s.name}" for k, s in self._bundle.states.items())
        return f"<Link to {self.remote}: {states}>"

    # Lanes

    @overload
    def lane(  # type: ignore[overload-overlap]  # who asks for tracks says so
        self, payload_type: Literal[PayloadType.MEDIA_RTP]
    ) -> TrackLane: ...
    @overload
    def lane(self, payload_type: PayloadType) -> ByteLane: ...

    def lane(self, payload_type: PayloadType) -> ByteLane | TrackLane:
        """The lane for this payload type, always the same one.

        Raises:
            ClosedError: For tracks, if this side leaves.
        """
        lane = self._lanes[payload_type]
        if lane is not None:  # nearly always
            return lane
        if payload_type is PayloadType.MEDIA_RTP:  # not kept here: the lane outlives the link
            return self._setup.tracks.lane(self.remote, self.wire(WireKind.WEBRTC))
        lanes = self._session.lanes
        replies = lanes.reply_sender(payload_type) if payload_type in RPC_LANES else None
        sender = lanes.sender(payload_type)
        lane = self._lanes[payload_type] = ByteLane(self, payload_type, sender, replies)
        self._made.append(lane)
        return lane

    def acknowledge(self, payload_type: PayloadType, number: int) -> None:
        """An RPC message is stored: the far side may forget it. Any order; twice is harmless."""
        if self._session.lanes.acknowledge(payload_type, number, self.loop.time()):
            self._pump.kick()
        else:
            self._pump.arm(self._session.deadlines.next)

    @property
    def max_message_bytes(self) -> int:
        """Longest message that both sides take."""
        return min(MAX_MESSAGE_BYTES, self._session.remote_max_bytes)

    def submit(self, sender: AnySender, message: bytes) -> None:
        """For lanes: take a message, and send it in this turn if a wire takes it."""
        now = self.loop.time()
        self.used_at = now
        sender.accept(message, now)
        self._pump.kick()

    def refusal(self) -> PeerError | None:
        """Why nothing can be sent any more, as a new exception; None while it can."""
        error = self._error
        if error is None:
            return ClosedError(f"the link to {self.remote} is closed") if self.is_shut else None
        if isinstance(error, UnreachableError):
            return UnreachableError(error.remote, error.why)
        if isinstance(error, ClosedError):
            return ClosedError(str(error))
        refusal = BrokenError(f"the link to {self.remote} is gone: {error}")
        refusal.__cause__ = error
        return refusal

    def weigh(self) -> None:
        """For lanes: see what waits here to be acknowledged, and what all links have of that."""
        self._posted.weigh(self._session.lanes.posted_bytes, self.loop.time())

    def overrun(self, error: LimitError) -> None:
        """For lanes: the far side takes nothing of what is posted."""
        self.fail(error)

    def settle(self) -> None:
        """After acknowledgements: let waiting senders go on."""
        if self._posted:
            self.weigh()
        for lane in self._made:
            if lane.is_crowded:
                lane.wake()
        if self._quiet is not None and not self._quiet.done() and self._session.lanes.is_empty:
            self._quiet.set_result(None)

    # Wires

    def add(self, wire: Wire) -> None:
        """Take a wire that the far side has dialled."""
        self._bundle.add(wire)

    def dial(self) -> None:
        """Dial all kinds that are neither there nor coming; twice is harmless."""
        self._bundle.attend()

    def await_dials(self) -> None:
        """The far side has begun: give it a moment to dial the other kinds itself."""
        self._bundle.pool.slots.defer(self.loop.time())

    def network_changed(self) -> None:
        """Make new wires beside the present ones, and move over when they work."""
        if self.refusal() is None:
            self._bundle.network_changed()

    def health(self, now: float) -> None:
        """Health round: remove the link if nothing works and nothing is tried, else mend it."""
        if self.refusal() is not None:
            return
        if self._bundle.pool.slots.is_dead:
            self.fail(BrokenError(f"all wires to {self.remote} have failed"))
        else:
            self._bundle.pool.refresh(now)
            self._bundle.attend()

    def wire(self, kind: WireKind) -> Wire | None:
        """The open wire of this kind that the far side has greeted, if any."""
        return self._bundle.pool.wire(kind)

    def usable(self) -> None:
        """For the bundle: a wire has come up."""
        self._is_usable.set()

    def wire_changed(self, kind: WireKind, state: WireState, wire: Wire | None) -> None:
        """For the bundle: a kind of wire has another state, or another wire carries it."""
        if kind is WireKind.WEBRTC:
            self._setup.tracks.follow(self.remote, state, wire)
        self._setup.sink.wire_changed(self, kind, state, wire)

    @property
    def is_ready(self) -> bool:
        """Whether a wire is usable now."""
        return self._session.active is not None

    @property
    def was_ready(self) -> bool:
        """Whether a wire has ever been usable: without one now, the link is being mended."""
        return self._bundle.pool.slots.was_ready

    async def ready(self) -> None:
        """Wait for the first usable wire; cancelling changes nothing.

        Raises:
            UnreachableError, BrokenError, ClosedError: If there will be none.
        """
        await self._is_usable.wait()
        refusal = self.refusal()
        if refusal is not None:
            raise refusal

    def view(self) -> LinkView:
        """How things stand."""
        return LinkView(
            remote=self.remote,
            wires=wire_views(self._bundle.pool, self._session),
            active=self._session.active.kind if self._session.active else None,
            lanes=lane_views(self._session.lanes),
            trouble="" if self.is_ready else self._bundle.pool.why,
        )

    # Idle links

    def _is_idle(self, seconds: float) -> bool:
        """Whether nothing has happened for so long, nothing is under way, and nobody cares."""
        lanes = self._session.lanes
        return (
            self.refusal() is None
            and self.loop.time() - self.used_at >= seconds
            and lanes.is_empty
            and lanes.is_settled
            and not any(lane.is_crowded for lane in self._made)
            and not self._setup.tracks.has(self.remote)
            and not self._setup.in_use(self)
        )

    def close_if_idle(self, seconds: float) -> None:
        """Ask the far side whether the link can be closed, if nothing happens in it.

        The far side answers BYE(CLOSED), and is deaf from then on, or does not answer.
        """
        if not self._is_idle(seconds):
            return
        active = self._session.active
        if active is None:
            self.fail(ClosedError(f"the link to {self.remote} was idle"))
            return
        self._asked_at = self.loop.time()
        self._session.leave(active.id, ByeReason.IDLE)
        self._pump.flush()

    def far_side_restarted(self, last_delivered: Mapping[PayloadType, int]) -> None:
        """For the bundle: the far process is a new one."""
        self._setup.sink.reset(self, last_delivered)

    def far_side_left(self, reason: ByeReason) -> None:
        """For the bundle: the far side has said BYE."""
        match reason:
            case ByeReason.CLOSED:
                self._far_side_closed()
            case ByeReason.BROKEN_RULES:
                self.fail(BrokenError(f"{self.remote} says that this side broke the protocol"))
            case ByeReason.IDLE:
                # At once: what arrives after the answer has not been taken here, and is sent
                # again by the far side's next session.
                if self._is_idle(LULL):
                    idle = ClosedError(f"the link to {self.remote} was idle")
                    self.fail(idle, bye=ByeReason.CLOSED)
            case ByeReason.DUPLICATE:
                raise AssertionError("concerns one wire")
            case _:
                assert_never(reason)

    def _far_side_closed(self) -> None:
        if self.loop.time() - self._asked_at > LULL:
            self.fail(errors.LeftError(f"{self.remote} closed the link"))
        elif self._session.lanes.is_empty:
            self.fail(ClosedError(f"the link to {self.remote} was idle"))
        else:
            # Messages came after the question. The goodbye said which of them were taken: a new
            # session has the others from the start.
            self._asked_at = -inf
            self._session.renew(self._setup.incarnation())
            self._bundle.attend()

    # The end

    @property
    def is_over(self) -> bool:
        """Whether the link is gone."""
        return self._error is not None

    def fail(self, error: PeerError, *, bye: ByeReason | None = None) -> None:
        """Drop the link at once; once."""
        if self._error is not None:
            return
        self._error = error
        self.is_shut = True
        self._session.account.close()
        self._posted.close()
        self._is_usable.set()
        if self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)
        for lane in self._made:
            lane.fail()
        self._setup.removed(self)
        try:
            self._bundle.shut(bye)
        except Exception as exc:  # noqa: BLE001  decision 6: those above hear of the end even so
            note_failure("transport", f"link/{self.remote}", exc)
        self._session.lanes.let_go()
        try:
            self._setup.sink.gone(self, error)
        except Exception as exc:  # noqa: BLE001  decision 6: who drops a link goes on
            note_failure("transport", f"link/{self.remote}", exc)

    def _dropped(self, error: LimitError) -> None:
        """For the budget: the process holds too much for all its remotes, and this one goes."""
        log.warning("link dropped: remote=%s cause=%s", self.remote, error)
        self.fail(error, bye=ByeReason.CLOSED)

    async def close(self) -> None:
        """Take no more, wait up to 3 s for acknowledgements, say goodbye, close the wires.

        Twice is harmless. Cancelling cuts the waiting short: the wires are aborted.
        """
        if self.refusal() is not None:
            return
        self.is_shut = True
        self._setup.removed(self)
        try:
            await self._flushed()
            await self._bundle.close()
        finally:
            self.fail(ClosedError(f"the link to {self.remote} is closed"))

    async def _flushed(self) -> None:
        if self._session.lanes.is_empty or self._session.active is None:
            return
        self._quiet = self.loop.create_future()
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await self._quiet
        except TimeoutError:
            return
