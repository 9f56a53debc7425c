"""The wires of one link, bundled under its session: taken in, heard, swapped, let go."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Callable, Mapping
from typing import Protocol, assert_never

from actr_peer.errors import (
    BrokenError,
    LimitError,
    PeerError,
    RemoteProtocolError,
    UnreachableError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WIRE_MESSAGE_BYTES, PayloadType, WireKind
from actr_peer.protocol.session.frames import ByeReason
from actr_peer.protocol.session.session import Session
from actr_peer.protocol.session.wires.ends import Changed, Left, News, Refused, Restarted
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.tasks import note_failure
from actr_peer.transport.pool import Pool, WireSetup
from actr_peer.transport.pump import Pump
from actr_peer.wire.base import Wire


class BundleOwner(Protocol):
    """The link of a bundle, as that sees it."""

    remote: ActrId
    used_at: float
    """When a message was last sent or received, seconds."""
    deliver: Callable[[PayloadType, bytes, int], None]
    """A message arrived."""

    @property
    def is_over(self) -> bool:
        """Whether the link is gone, and hears no more."""

    def settle(self) -> None:
        """Something was acknowledged, perhaps: let waiting senders go on."""

    def usable(self) -> None:
        """A wire has come up."""

    def wire_changed(self, kind: WireKind, state: WireState, wire: Wire | None) -> None:
        """A kind of wire has another state now, or another wire carries it."""

    def far_side_restarted(self, last_delivered: Mapping[PayloadType, int]) -> None:
        """The far process is a new one."""

    def far_side_left(self, reason: ByeReason) -> None:
        """The far side has said BYE."""

    def fail(self, error: PeerError, *, bye: ByeReason | None = None) -> None:
        """Drop the link at once."""


class Bundle:
    """Owned by one link, which it tells what concerns it.

    It is the sink of its wires. A wire is known by its id: an event of one that is not in the
    bundle any more is not heard, so an old wire never touches its successor.
    """

    def __init__(
        self, link: BundleOwner, setup: WireSetup, session: Session, loop: AbstractEventLoop
    ) -> None:
        self._link = link
        self._start = setup.start
        self._budget = setup.budget
        self._loop = loop
        self.session = session
        self.wires: dict[int, Wire] = {}
        self.pump = Pump(session, self.wires, loop, on_time=self._on_time, failed=self._contain)
        self.pool = Pool(link.remote, session, self, setup)
        self.states = dict.fromkeys(setup.prefer, WireState.IDLE)
        """What the link was last told of each kind."""
        self._told: dict[WireKind, Wire | None] = {}
        """Likewise, of the wires."""

    # What a wire reports

    def message(self, wire: Wire, channel: int, data: bytes) -> None:
        """One wire message arrived: deliver what it completes."""
        link, session = self._link, self.session
        held = self.pump.hold()
        try:
            now = self._loop.time()
            deliveries = session.receive(wire.id, channel, data, now)
            if self._budget.is_over:
                self._budget.keep()
            if deliveries:
                link.used_at = now  # before the news: who asks whether the link is idle is told
            if session.news:
                self._hear()
                self.pump.look_at(now)  # at what may follow from them, without delaying messages
            if deliveries:
                deliver = link.deliver
                for payload_type, message, number in deliveries:
                    if link.is_over:
                        break
                    deliver(payload_type, message, number)
            link.settle()
        except (RemoteProtocolError, LimitError) as error:
            link.fail(error, bye=ByeReason.BROKEN_RULES)
        except Exception as exc:  # noqa: BLE001  decision 6: it ends this link and nothing else
            self._contain(exc)
        finally:
            self.pump.release(held)

    def _contain(self, exc: BaseException) -> None:
        """A failure on this side, met while one link was served, ends that link."""
        link = self._link
        note_failure("transport", f"link/{link.remote}", exc)
        error = BrokenError(f"a failure on this side: {exc!r}")
        error.__cause__ = exc
        link.fail(error, bye=ByeReason.CLOSED)

    def writable(self, wire: Wire) -> None:
        """A wire takes data again."""
        self.pump.flush()

    def closed(self, wire: Wire, error: PeerError | None) -> None:
        """A wire is gone: go on without it."""
        if self.wires.pop(wire.id, None) is None:
            return
        try:
            self.session.close(wire.id)
            self.pool.remove(wire, error)
        except Exception as exc:  # noqa: BLE001  decision 6
            self._contain(exc)
        self.attend()

    # What the pool reports

    def dialled(self, wire: Wire) -> None:
        """A dial has ended well."""
        self.add(wire)

    def slot_changed(self, kind: WireKind) -> None:
        """Tell the link if this kind has another state now, or another wire that carries it."""
        state, wire = self.pool.state(kind), self.pool.wire(kind)
        if self._link.is_over or (state, wire) == (self.states[kind], self._told.get(kind)):
            return
        self.states[kind], self._told[kind] = state, wire
        self._link.wire_changed(kind, state, wire)

    def exhausted(self, why: str) -> None:
        """No wire is there or coming.

        A link that has worked waits for the health round: the far side may yet dial.
        """
        if not self.pool.slots.was_ready:
            text = why or "there is no way to dial it"
            self._link.fail(UnreachableError(str(self._link.remote), text))

    # Wires in and out

    def add(self, wire: Wire) -> None:
        """Take a wire, dialled here or there; one that cannot be used is aborted."""
        try:
            self._add(wire)
        except Exception as exc:  # noqa: BLE001  decision 6
            self._contain(exc)
            self._abort(wire)
        self.attend()

    def _add(self, wire: Wire) -> None:
        unfit = (
            wire.kind not in self.pool.slots.by_kind or wire.max_message_bytes < WIRE_MESSAGE_BYTES
        )
        if unfit or self._link.is_over:
            wire.abort()
            return
        now = self._loop.time()
        for old in self.pool.excess(wire.kind):
            self._forget(old)
            old.abort()
        self.wires[wire.id] = wire
        self.session.open(wire.id, wire.kind, now, was_dialled=wire.was_dialled)
        self.pool.add(wire)
        self.slot_changed(wire.kind)
        wire.attach(self)

    def _retire(self, wire: Wire) -> None:
        """Close one of several wires of a kind; what it may not have delivered goes elsewhere."""
        self.session.leave(wire.id, ByeReason.DUPLICATE)
        self.pump.flush()
        self._forget(wire)
        self._close(wire)

    def _forget(self, wire: Wire) -> None:
        self.wires.pop(wire.id, None)
        self.session.close(wire.id)
        self.pool.remove(wire, None)
        self.slot_changed(wire.kind)

    def shut(self, bye: ByeReason | None = None) -> None:
        """Let go of everything at once; with a word to the far side, close instead of abort."""
        self.pool.close()
        wires = tuple(self.wires.values())
        if bye is not None:
            for wire in wires:
                self.session.leave(wire.id, bye)
            self.pump.flush()
        self.pump.stop()
        self.wires.clear()
        for wire in wires:
            self.session.close(wire.id)
            if bye is None:
                self._abort(wire)
            else:
                self._close(wire)

    def _abort(self, wire: Wire) -> None:
        """Abort a wire at the end of the link; the others are to go too if that fails."""
        try:
            wire.abort()
        except Exception as exc:  # noqa: BLE001  decision 6
            note_failure("transport", f"wire/{wire.id}", exc)

    def _close(self, wire: Wire) -> None:
        self._start(f"close/{wire.id}", wire.close(), failed=lambda _: wire.abort())

    async def close(self) -> None:
        """Say goodbye on every wire, and close them; what comes after that is not heard."""
        self.pool.close()
        wires = tuple(self.wires.values())
        for wire in wires:
            self.session.leave(wire.id, ByeReason.CLOSED)
        self.pump.flush()
        for wire in wires:
            self.session.close(wire.id)
        await asyncio.gather(*(wire.close() for wire in wires))

    # What time brings

    def _on_time(self) -> None:
        session, now = self.session, self._loop.time()
        try:
            if session.due <= now:
                session.tick(now)
            if not session.news and now < self.pump.looks_at:  # mostly: a wire was pinged
                self.pump.flush()
                self.pump.arm(self.pump.looks_at)
                self._link.settle()
                return
        except Exception as exc:  # noqa: BLE001  decision 6
            self._contain(exc)
        self.attend()

    def attend(self) -> None:
        """Something rare has happened: see to all that may follow from it."""
        try:
            self._attend()
        except Exception as exc:  # noqa: BLE001  decision 6
            self._contain(exc)

    def _attend(self) -> None:
        link = self._link
        if link.is_over:
            return
        self._hear()
        self.pool.mend(self._loop.time())
        if link.is_over:
            return
        for kind in self.states:
            self.slot_changed(kind)
        self.pump.flush()
        link.settle()
        self.pump.look_at(self.pool.slots.due())

    def network_changed(self) -> None:
        """Make new wires beside the present ones, and move over when they work."""
        try:
            self.pool.replace(self._loop.time())
        except Exception as exc:  # noqa: BLE001  decision 6
            self._contain(exc)
        self.attend()

    # News of the session

    def _hear(self) -> None:
        news = self.session.news
        while news and not self._link.is_over:
            self._on_news(news.popleft())

    def _on_news(self, item: News) -> None:
        match item:
            case Changed(wire_id, state):
                self._wire_changed(wire_id, state)
            case Refused(wire_id):
                wire = self.wires.get(wire_id)
                if wire is not None:
                    self._forget(wire)
                    wire.abort()
            case Restarted(last_delivered):
                self._link.far_side_restarted(last_delivered)
            case Left(wire_id, ByeReason.DUPLICATE):
                wire = self.wires.get(wire_id)
                if wire is not None:
                    self._forget(wire)
                    wire.abort()
            case Left(_, reason):
                self._link.far_side_left(reason)
            case _:
                assert_never(item)

    def _wire_changed(self, wire_id: int, state: WireState) -> None:
        wire = self.wires.get(wire_id)
        if wire is None:
            return
        if state is WireState.FAILED:
            wire.abort()
            self.closed(wire, BrokenError("no heartbeat"))
            return
        if state is WireState.READY:
            self.pool.greeted(wire)
            self._link.usable()
        self.slot_changed(wire.kind)
        for spare in self.pool.surplus():
            self._retire(spare)
