"""A link: all that concerns one remote: its session, its lanes, its wires (spec 3.2, 8).

::

    Lane.send ─ submit ─▶ Session ─ Pump ─▶ Wire         Wire ─ message ─▶ Session ─▶ LinkSink
                             ▲ tick                        Pool ─ dials ─▶ Wire
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Event, Future
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from actr_peer.errors import (
    BrokenError,
    ClosedError,
    LimitError,
    PeerError,
    RemoteProtocolError,
    UnreachableError,
)
from actr_peer.protocol.ends import Changed, Left, News, Refused, Restarted
from actr_peer.protocol.frames import WIRE_MESSAGE_BYTES, ByeReason
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.lanes import AnySender
from actr_peer.protocol.payload import BYTE_LANES, PayloadType, WireKind
from actr_peer.protocol.session import Session
from actr_peer.protocol.wires import WireState
from actr_peer.transport.lane import Lane
from actr_peer.transport.pool import Dialer, Pool, Start
from actr_peer.transport.pump import Pump
from actr_peer.transport.view import KindView, LinkView, lane_views
from actr_peer.wire.base import Wire

FLUSH_SECONDS = 3.0
"""How long closing waits for the far side to acknowledge what it was sent."""


class LinkSink(Protocol):
    """Who owns links hears from them here, on the event loop. Raising is a bug, except that a
    ``RemoteProtocolError`` or ``LimitError`` from ``message`` drops the link."""

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
        """A kind of wire has another state now; ``wire`` is the open one, if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSetup:
    """What all links of one transport share."""

    self_id: ActrId
    dialers: Mapping[WireKind, Dialer]
    sink: LinkSink
    prefer: Sequence[WireKind]
    start: Start
    removed: Callable[[Link, PeerError], None]
    """Called once, when the link is gone, before the sink hears of it."""


class Link:
    """Made by :class:`~actr_peer.transport.remote.RemoteTransport`, one for each remote.

    It owns its wires and closes them. It is the sink of its wires; an event of a wire that it
    does not hold any more is not heard.
    """

    def __init__(self, remote: ActrId, setup: LinkSetup, session: Session) -> None:
        self.remote = remote
        self.loop: AbstractEventLoop = asyncio.get_running_loop()
        self.used_at = self.loop.time()
        """When a message was last sent or received, seconds."""
        self._setup = setup
        self._sink = setup.sink
        self._session = session
        self._wires: dict[int, Wire] = {}
        self._pump = Pump(session, self._wires, self.loop, self._on_time)
        self._pool = Pool(
            remote,
            session,
            self,
            dialers=setup.dialers,
            prefer=setup.prefer,
            start=setup.start,
            is_smaller=setup.self_id < remote,
        )
        self._states = dict.fromkeys(setup.prefer, WireState.IDLE)
        """What the sink was last told."""
        self._lanes: list[Lane | None] = [None] * len(BYTE_LANES)
        self._error: PeerError | None = None
        """Why the link is gone, once it is."""
        self._is_closing = False
        self._is_asking = False
        """BYE(IDLE) has been said and not answered."""
        self._quiet: Future[None] | None = None
        """Done when all that was accepted is acknowledged; made by :meth:`close`."""
        self._is_ready = Event()
        """Set when a wire is usable, and when none will be."""

    def __repr__(self) -> str:
        states = ", ".join(f"{k.value} {s.name}" for k, s in self._states.items())
        return f"<Link to {self.remote}: {states}>"

    # Lanes

    def lane(self, payload_type: PayloadType) -> Lane:
        """The lane for this payload type, always the same one."""
        lane = self._lanes[payload_type]
        if lane is None:
            sender = self._session.lanes.sender(payload_type)
            lane = self._lanes[payload_type] = Lane(self, payload_type, sender)
        return lane

    def acknowledge(self, payload_type: PayloadType, number: int) -> None:
        """An RPC message is stored: the far side may forget it. Any order; twice is harmless."""
        if self._session.acknowledge(payload_type, number, self.loop.time()):
            self._pump.kick()
        else:
            self._pump.arm(self._session.due)

    @property
    def max_message_bytes(self) -> int:
        return self._session.remote_max_bytes

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
            return ClosedError(f"the link to {self.remote} is closed") if self._is_closing else None
        if isinstance(error, UnreachableError):
            return UnreachableError(str(self.remote), str(error))
        if isinstance(error, ClosedError):
            return ClosedError(str(error))
        refusal = BrokenError(f"the link to {self.remote} is gone: {error}")
        refusal.__cause__ = error
        return refusal

    def overrun(self, error: LimitError) -> None:
        """For lanes: the far side takes nothing of what is posted."""
        self.fail(error)

    # What a wire reports

    def message(self, wire: Wire, channel: int, data: bytes) -> None:
        """One wire message arrived: deliver what it completes."""
        pump, session = self._pump, self._session
        held = pump.hold()
        try:
            now = self.loop.time()
            deliveries = session.receive(wire.id, channel, data, now)
            if session.news:
                self._hear()
            if deliveries:
                self.used_at = now
                sink = self._sink
                for payload_type, message, number in deliveries:
                    if self._error is not None:
                        break
                    sink.message(self, payload_type, message, number)
            self._settle()
        except (RemoteProtocolError, LimitError) as error:
            session.leave(wire.id, ByeReason.BROKEN_RULES)
            self._pump.flush()
            self.fail(error)
        finally:
            pump.release(held)

    def writable(self, wire: Wire) -> None:
        """A wire takes data again."""
        self._pump.flush()

    def closed(self, wire: Wire, error: PeerError | None) -> None:
        """A wire is gone: go on without it."""
        if self._wires.pop(wire.id, None) is None:
            return
        now = self.loop.time()
        end = self._session.ends.get(wire.id)
        self._session.close(wire.id)
        self._pool.remove(wire, now - end.opened_at if end else 0.0, error)
        self._after(now)

    # What the pool reports

    def add(self, wire: Wire) -> None:
        """Take a wire, dialled here or there; the caller has made sure whose it is."""
        if self._error is not None or self._is_closing or wire.kind not in self._pool.slots:
            wire.abort()
            return
        if wire.max_message_bytes < WIRE_MESSAGE_BYTES:
            wire.abort()
            return
        now = self.loop.time()
        self._wires[wire.id] = wire
        self._session.open(wire.id, wire.kind, now, was_dialled=wire.was_dialled)
        self._pool.add(wire)
        self.slot_changed(wire.kind)
        wire.attach(self)
        self._pump.flush()

    def dialled(self, wire: Wire) -> None:
        """For the pool: a dial has ended well."""
        self.add(wire)

    def slot_changed(self, kind: WireKind) -> None:
        """Tell the sink if the state of this kind is another one now."""
        state = self._pool.state(kind)
        if state is not self._states[kind] and self._error is None:
            self._states[kind] = state
            self._sink.wire_changed(self, kind, state, self._pool.wire(kind))

    def exhausted(self, error: PeerError | None) -> None:
        """For the pool: no wire is there or coming.

        A link that has worked waits for the health round: the far side may yet dial.
        """
        if not self._pool.was_ready:
            why = str(error) if error is not None else "there is no way to dial it"
            self.fail(UnreachableError(str(self.remote), why))

    # What time brings

    def dial(self) -> None:
        """Dial all kinds that are neither there nor coming."""
        self._after(self.loop.time())

    def await_dials(self) -> None:
        """The far side has begun: give it a moment to dial the other kinds itself."""
        self._pool.defer(self.loop.time())

    def _on_time(self) -> None:
        now = self.loop.time()
        if self._session.due <= now:
            self._session.tick(now)
        self._after(now)

    def _after(self, now: float) -> None:
        """Something rare has happened: see to all that may follow from it."""
        if self._error is not None:
            return
        self._hear()
        self._pool.mend(now)
        if self._error is not None:
            return
        for kind in self._states:
            self.slot_changed(kind)
        self._pump.flush()
        self._settle()
        self._pump.arm(self._pool.due())

    def health(self, now: float) -> None:
        """Health round: remove the link if nothing works and nothing is tried, else mend it."""
        if self._error is not None or self._is_closing:
            return
        if self._pool.is_dead:
            self.fail(BrokenError(f"all wires to {self.remote} have failed"))
        else:
            self._pool.refresh(now)
            self._after(now)

    def network_changed(self) -> None:
        """Make new wires beside the present ones, and move over when they work."""
        now = self.loop.time()
        self._pool.replace(now)
        self._after(now)

    # News of the session

    def _hear(self) -> None:
        news = self._session.news
        while news and self._error is None:
            self._on_news(news.popleft())

    def _on_news(self, item: News) -> None:
        match item:
            case Changed(wire_id, state):
                self._wire_changed(wire_id, state)
            case Refused(wire_id):
                wire = self._wires.pop(wire_id, None)
                if wire is not None:
                    self._pool.remove(wire, 0.0, None)
                    wire.abort()
                    self.slot_changed(wire.kind)
            case Restarted(last_delivered):
                self._sink.reset(self, last_delivered)
            case Left(wire_id, reason):
                self._left(wire_id, reason)
            case _:
                assert_never(item)

    def _wire_changed(self, wire_id: int, state: WireState) -> None:
        wire = self._wires.get(wire_id)
        if wire is None:
            return
        if state is WireState.FAILED:
            wire.abort()
            self.closed(wire, BrokenError("no heartbeat"))
            return
        if state is WireState.READY:
            self._pool.greeted(wire)
            self._is_ready.set()
        self.slot_changed(wire.kind)
        for spare in self._pool.surplus(self.loop.time()):
            self._retire(spare)

    def _retire(self, wire: Wire) -> None:
        """Close one of several wires of a kind; what it may not have delivered goes elsewhere."""
        self._session.leave(wire.id, ByeReason.DUPLICATE)
        self._pump.flush()
        self._forget(wire)
        self._setup.start(f"close/{wire.id}", wire.close())

    def _forget(self, wire: Wire) -> None:
        self._wires.pop(wire.id, None)
        self._session.close(wire.id)
        self._pool.remove(wire, 0.0, None)
        self.slot_changed(wire.kind)

    def _left(self, wire_id: int, reason: ByeReason) -> None:
        match reason:
            case ByeReason.DUPLICATE:
                wire = self._wires.get(wire_id)
                if wire is not None:
                    self._forget(wire)
                    wire.abort()
            case ByeReason.CLOSED:
                self.fail(BrokenError(f"{self.remote} closed the link"))
            case ByeReason.BROKEN_RULES:
                self.fail(BrokenError(f"{self.remote} says that this side broke the protocol"))
            case ByeReason.IDLE:
                pass
            case _:
                assert_never(reason)

    def _settle(self) -> None:
        """After acknowledgements: let waiting senders go on."""
        for lane in self._lanes:
            if lane is not None and lane.is_crowded:
                lane.wake()
        if self._quiet is not None and not self._quiet.done() and self._session.lanes.is_empty:
            self._quiet.set_result(None)

    # For those who look

    def wire(self, kind: WireKind) -> Wire | None:
        """The open wire of this kind that the far side has greeted, if any."""
        return self._pool.wire(kind)

    def view(self) -> LinkView:
        """How things stand."""
        return LinkView(
            remote=self.remote,
            wires=tuple(self._kind_view(kind) for kind in self._states),
            active=self._session.active.kind if self._session.active else None,
            lanes=lane_views(self._session.lanes),
        )

    def _kind_view(self, kind: WireKind) -> KindView:
        wire = self._pool.wire(kind)
        end = self._session.ends.get(wire.id) if wire else None
        return KindView(
            kind=kind,
            state=self._pool.state(kind),
            rtt=end.heart.srtt if end else None,
            is_relayed=wire.is_relayed if wire else False,
            tries=self._pool.slots[kind].tries,
        )

    @property
    def is_ready(self) -> bool:
        """Whether a wire is usable now."""
        return self._session.active is not None

    async def ready(self) -> None:
        """Wait for the first usable wire; cancelling changes nothing.

        Raises:
            UnreachableError, BrokenError, ClosedError: If there will be none.
        """
        await self._is_ready.wait()
        refusal = self.refusal()
        if refusal is not None:
            raise refusal

    # The end

    def fail(self, error: PeerError) -> None:
        """Drop the link at once; once."""
        if self._error is not None:
            return
        self._error = error
        self._pool.close()
        self._pump.stop()
        wires = tuple(self._wires.values())
        self._wires.clear()
        for wire in wires:
            self._session.close(wire.id)
            wire.abort()
        self._is_ready.set()
        if self._quiet is not None and not self._quiet.done():
            self._quiet.set_result(None)
        for lane in self._lanes:
            if lane is not None:
                lane.fail()
        self._setup.removed(self, error)
        self._sink.gone(self, error)

    async def close(self) -> None:
        """Take no more, wait up to 3 s for acknowledgements, say goodbye, close the wires.

        Twice is harmless. Cancelling cuts the waiting short: the wires are aborted.
        """
        if self._error is not None or self._is_closing:
            return
        self._is_closing = True
        try:
            await self._flushed()
            self._pool.close()
            for wire in tuple(self._wires.values()):
                self._session.leave(wire.id, ByeReason.CLOSED)
            self._pump.flush()
            await asyncio.gather(*(wire.close() for wire in tuple(self._wires.values())))
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
