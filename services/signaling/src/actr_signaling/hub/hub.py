"""Shell: all sessions of this replica, the view of presence, and who is told what.

Owned by the app's lifespan. Everything here happens in callbacks on one loop: a frame arrives,
its session decides, the effects are performed, and the ledger's answers come back the same way.
No method waits, so messages of one pair keep their order.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import assert_never

import structlog

from actr_signaling.errors import Close
from actr_signaling.hub.courier import RELAY_WAIT, Courier
from actr_signaling.hub.ice import IceServers
from actr_signaling.hub.meetings import Meetings
from actr_signaling.hub.peers import Peer
from actr_signaling.hub.registrar import GRACE, Registrar
from actr_signaling.hub.watchers import Watchers
from actr_signaling.hub.wires import NO_WIRES, RelayedWires, WireBounds
from actr_signaling.ledger.base import Ledger
from actr_signaling.protocol.client import effects, replies
from actr_signaling.protocol.presence.changes import Put, Removed
from actr_signaling.protocol.presence.records import Entry
from actr_signaling.protocol.presence.view import PresenceView, Reason
from actr_signaling.protocol.relay.parcels import Parcel
from actr_signaling.protocol.relay.routing import Undelivered

log = structlog.get_logger()


class Hub:
    """This replica.

    Args:
        server_id: Random, new with each start.
        ice: What to give an actor, with credentials that are fresh.
        heartbeat: Seconds between the heartbeats of one session; called for each, to add jitter.
        relayed_wires: How many wires between actors go through here, and how fast.
    """

    def __init__(
        self,
        *,
        server_id: str,
        ice: IceServers,
        heartbeat: Callable[[], float],
        relay_wait: float = RELAY_WAIT,
        grace: float = GRACE,
        relayed_wires: WireBounds = NO_WIRES,
    ) -> None:
        self.server_id = server_id
        self.presence = PresenceView()
        self.is_draining = False
        self.peers: dict[str, Peer] = {}
        """By session id: every open connection."""
        self.refused: Counter[str] = Counter()
        """Proofs, by the cause; there are some twenty of them."""
        self.registrar = Registrar(self, ice=ice, heartbeat=heartbeat, grace=grace)
        self.meetings = Meetings()
        self.watchers = Watchers(self.presence, self.meetings)
        self.courier = Courier(self, wait=relay_wait)
        self.wires = RelayedWires(self.courier, relayed_wires)
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._ledger: Ledger | None = None

    def attach(self, ledger: Ledger) -> None:
        """Set where presence is written, once, before the first connection."""
        self._ledger = ledger

    @property
    def ledger(self) -> Ledger:
        assert self._ledger is not None
        return self._ledger

    @property
    def here(self) -> Mapping[str, Peer]:
        """By id: registered connections."""
        return self.registrar.here

    @property
    def is_ready(self) -> bool:
        return not self.is_draining and self.ledger.is_ready

    @property
    def connections(self) -> int:
        return len(self.peers)

    # Connections

    def joined(self, peer: Peer) -> None:
        """Take a new connection."""
        self.peers[peer.session_id] = peer
        self._emptied.clear()

    def gone(self, peer: Peer) -> None:
        """A connection has ended; harmless when called again."""
        if self.peers.pop(peer.session_id, None) is None:
            return
        peer.session.close()
        self.watchers.forget(peer)
        self.registrar.detach(peer)
        if not self.peers:
            self._emptied.set()

    def relieved(self, peer: Peer) -> None:
        """A connection that left unread what it was told has read it."""
        self.watchers.catch_up(peer)

    def perform(self, peer: Peer, todo: effects.Effects) -> None:  # noqa: C901, PLR0912 - a case for each
        """Do what a session decided, in order."""
        for effect in todo:
            match effect:
                case effects.Forward(relay, reply_to):
                    if relay.ticket:
                        self.wires.ask(peer, relay, reply_to)
                    else:
                        self.courier.forward(peer, relay.to, relay.negotiate, reply_to)
                case effects.Send(data):
                    peer.send(data)
                case effects.Renew(load, reply_to):
                    self.registrar.renew(peer, load, reply_to)
                case effects.Enrol(registration, load, only_if_free):
                    self.registrar.enrol(peer, registration, load, only_if_free=only_if_free)
                case effects.Watch(actr_type, reply_to):
                    self.watchers.watch(peer, actr_type, reply_to)
                case effects.Unwatch(actr_type):
                    self.watchers.unwatch(peer, actr_type)
                case effects.Search(query, reply_to):
                    self.watchers.search(peer, query, reply_to)
                case effects.Recertify(registration):
                    self.registrar.recertify(peer, registration)
                case effects.Leave(reason):
                    self.registrar.leave(peer, reason)
                case effects.End():
                    self._end(peer, effect)
                case _:
                    assert_never(effect)

    def refuse(self, peer: Peer, cause: str, why: str) -> None:
        """Count a proof that is not believed, or no more, and say so."""
        self.refused[cause] += 1
        log.warning("proof refused", cause=cause, why=why, actor=str(peer.session.id))

    def examine_again(self) -> None:
        """What was revoked has changed: end the sessions that rest on it."""
        for peer in list(self.peers.values()):
            self.perform(peer, peer.session.examine_again())

    def _end(self, peer: Peer, end: effects.End) -> None:
        if end.cause:
            self.refuse(peer, end.cause, end.message)
        peer.end(end.code, end.message)

    async def drain(self, seconds: float) -> None:
        """Send everyone to another replica; return when all have moved or time is over.

        Who is still here then leaves with the reason DRAINED and is closed with 1012. Where
        there is no other replica, that is at once. Cancelling it leaves the replica draining.
        """
        self.is_draining = True
        if not self.ledger.is_shared:
            seconds = 0.0
        for place, peer in enumerate(list(self.peers.values())):
            # Spread over half of the time, so that the next replica is not stormed.
            wait = seconds / 2 * place / len(self.peers)
            peer.send(replies.goaway(wait, "this replica goes away"))
        try:
            async with asyncio.timeout(seconds):
                await self._emptied.wait()
                await self.registrar.nobody_is_awaited.wait()
        except TimeoutError:
            log.info("closing who did not move", connections=len(self.peers))
        for peer in list(self.peers.values()):
            self.registrar.leave(peer, Reason.DRAINED)
            peer.end(Close.RESTART, "this replica goes away")
        self.registrar.end_graces(Reason.DRAINED)

    # What the ledger reports (LedgerSink)

    def changed(self, change: Put | Removed) -> None:
        match change:
            case Put(entry, version):
                moved = self.presence.put(entry, version)
                self.registrar.settle(entry)
            case Removed(text, epoch, reason, version):
                moved = self.presence.remove(text, epoch, reason, version)
            case _:
                assert_never(change)
        self.watchers.changed(moved)

    def restored(self, entries: Iterable[Entry], version: int, *, is_partial: bool) -> None:
        stored = list(entries)
        moved = self.presence.reset(stored, version, is_partial=is_partial)
        for entry in stored:
            self.registrar.settle(entry)
        self.watchers.changed(moved)

    def settled(self) -> None:
        self.watchers.changed(self.presence.drop_doubtful())

    def fenced(self, entry: Entry, epoch: int) -> None:
        peer = self.peers.get(entry.session)
        if peer is not None:
            self.registrar.fenced(peer, entry, epoch)

    def arrived(self, replica: str, parcel: Parcel) -> Undelivered | None:
        del replica
        return self.courier.hand_over(parcel.to, parcel.source, parcel.data)

    def answered(self, number: int, reason: Undelivered | None) -> None:
        self.courier.answered(number, reason)

    def lost(self) -> None:
        self.courier.give_up()

    def own_entries(self) -> list[Entry]:
        return self.registrar.own_entries(self.peers.values())
