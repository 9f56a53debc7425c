"""Shell: all sessions of this replica, the view of presence, and who is told what.

Owned by the app's lifespan. Everything here happens in callbacks on one loop: a frame arrives,
its session decides, the effects are performed, and the ledger's answers come back the same way.
No method waits, so messages of one pair keep their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import assert_never

import structlog

from actr_signaling.courier import RELAY_WAIT, Courier
from actr_signaling.errors import Close
from actr_signaling.ice import IceServers
from actr_signaling.ledger import Ledger
from actr_signaling.peers import Peer
from actr_signaling.protocol import effects, replies
from actr_signaling.protocol.changes import Put, Removed
from actr_signaling.protocol.parcels import Parcel
from actr_signaling.protocol.presence import Presence, Reason
from actr_signaling.protocol.records import Entry, Load, Registration
from actr_signaling.protocol.replies import IceServer
from actr_signaling.protocol.routing import Undelivered
from actr_signaling.protocol.session import State
from actr_signaling.watchers import Watchers

log = structlog.get_logger()

GRACE = 1.5
"""Seconds that a broken connection's actor stays present, to come back unnoticed."""


class Hub:
    """This replica.

    Args:
        server_id: Random, new with each start.
        ice: What to give an actor, with credentials that are fresh.
        heartbeat: Seconds between the heartbeats of one session; called for each, to add jitter.
    """

    def __init__(
        self,
        *,
        server_id: str,
        ice: IceServers,
        heartbeat: Callable[[], float],
        relay_wait: float = RELAY_WAIT,
        grace: float = GRACE,
    ) -> None:
        self.server_id = server_id
        self.presence = Presence()
        self.is_draining = False
        self._ledger: Ledger | None = None
        self._ice = ice
        self._heartbeat = heartbeat
        self._grace = grace
        self.peers: dict[str, Peer] = {}
        """By session id: every open connection."""
        self.here: dict[str, Peer] = {}
        """By id: registered connections."""
        self._detached: dict[str, tuple[Entry, asyncio.TimerHandle]] = {}
        """By session id: actors whose connection broke, until their grace ends."""
        self.watchers = Watchers(self.presence)
        self.courier = Courier(self, wait=relay_wait)
        self._emptied = asyncio.Event()
        self._emptied.set()

    def attach(self, ledger: Ledger) -> None:
        """Set where presence is written, once, before the first connection."""
        self._ledger = ledger

    @property
    def ledger(self) -> Ledger:
        assert self._ledger is not None
        return self._ledger

    @property
    def is_ready(self) -> bool:
        return not self.is_draining and self._ledger is not None and self._ledger.is_ready

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
        entry = peer.entry
        if entry is not None:
            if self.here.get(entry.text) is peer:
                del self.here[entry.text]
            self._detach(entry)
        if not self.peers:
            self._emptied.set()

    def perform(self, peer: Peer, todo: effects.Effects) -> None:  # noqa: C901 - a case for each
        """Do what a session decided, in order."""
        for effect in todo:
            match effect:
                case effects.Forward(relay, reply_to):
                    self.courier.forward(peer, relay.to, relay.negotiate, reply_to)
                case effects.Send(data):
                    peer.send(data)
                case effects.Renew(load, reply_to):
                    self._renew(peer, load, reply_to)
                case effects.Enrol(registration, load):
                    self._enrol(peer, registration, load)
                case effects.Watch(actr_type, reply_to):
                    self.watchers.watch(peer, actr_type, reply_to)
                case effects.Unwatch(actr_type):
                    self.watchers.unwatch(peer, actr_type)
                case effects.Search(query, reply_to):
                    self.watchers.search(peer, query, reply_to)
                case effects.Leave():
                    self._leave(peer, Reason.CLOSED)
                case effects.End(code, message):
                    peer.end(code, message)
                case _:
                    assert_never(effect)

    async def drain(self, seconds: float) -> None:
        """Send everyone to another replica; return when all have moved or time is over.

        Who is still here then leaves with the reason DRAINED and is closed with 1012.
        Cancelling it leaves the replica draining.
        """
        self.is_draining = True
        for place, peer in enumerate(list(self.peers.values())):
            # Spread over half of the time, so that the next replica is not stormed.
            wait = seconds / 2 * place / len(self.peers)
            peer.send(replies.goaway(wait, "this replica goes away"))
        try:
            async with asyncio.timeout(seconds):
                await self._emptied.wait()
        except TimeoutError:
            log.info("closing who did not move", connections=len(self.peers))
        for peer in list(self.peers.values()):
            self._leave(peer, Reason.DRAINED)
            peer.end(Close.RESTART, "this replica goes away")
        for entry, timer in list(self._detached.values()):
            timer.cancel()
            self._end_grace(entry, Reason.DRAINED)

    # What the ledger reports (LedgerSink)

    def changed(self, change: Put | Removed) -> None:
        match change:
            case Put(entry, version):
                told = self.presence.put(entry, version)
                self._settle(entry)
            case Removed(text, epoch, reason, version):
                told = self.presence.remove(text, epoch, reason, version)
            case _:
                assert_never(change)
        self.watchers.tell(told)

    def restored(self, entries: Iterable[Entry], version: int, *, is_partial: bool) -> None:
        stored = list(entries)
        told = self.presence.reset(stored, version, is_partial=is_partial)
        for entry in stored:
            self._settle(entry)
        self.watchers.tell(told)

    def settled(self) -> None:
        self.watchers.tell(self.presence.drop_doubtful())

    def fenced(self, entry: Entry, epoch: int) -> None:
        peer = self.peers.get(entry.session)
        # While it registers anew, the newer epoch may be its own.
        if peer is None or peer.entry is None or peer.session.state is not State.REGISTERED:
            return
        if peer.entry.epoch == entry.epoch:
            self._replace(peer, epoch)

    def arrived(self, replica: str, parcel: Parcel) -> Undelivered | None:
        del replica
        return self.courier.hand_over(parcel.to, parcel.source, parcel.data)

    def answered(self, number: int, reason: Undelivered | None) -> None:
        self.courier.answered(number, reason)

    def lost(self) -> None:
        self.courier.give_up()

    def own_entries(self) -> list[Entry]:
        own: list[Entry] = []
        for peer in self.peers.values():
            registration = peer.session.registration
            if peer.entry is not None and peer.session.state is State.REGISTERED:
                own.append(peer.entry)
            elif registration is not None and peer.session.state is State.ENROLLING:
                own.append(self._entry(peer, registration, peer.session.load))
        return own

    # Presence

    def _entry(self, peer: Peer, registration: Registration, load: Load) -> Entry:
        return Entry(
            registration=registration,
            load=load,
            epoch=0,
            session=peer.session_id,
            replica=self.server_id,
        )

    def _enrol(self, peer: Peer, registration: Registration, load: Load) -> None:
        entry = self._entry(peer, registration, load)
        peer.head = replies.relayed_head(registration.id, registration.incarnation)
        self.ledger.register(entry, above=self.presence.known_epoch(entry.text))

    def _settle(self, entry: Entry) -> None:
        """Bring this replica's connections in line with a stored entry."""
        current = self.here.get(entry.text)
        if current is not None and current.session_id != entry.session:
            if current.session.epoch >= entry.epoch:
                return
            self._replace(current, entry.epoch)
        if entry.replica != self.server_id:
            return
        peer = self.peers.get(entry.session)
        if peer is None:
            # Its connection ended before the store confirmed it.
            if entry.session in self._detached:
                self._detach(entry)
            else:
                self.ledger.leave(entry, Reason.EXPIRED)
            return
        self._confirm(peer, entry)

    def _confirm(self, peer: Peer, entry: Entry) -> None:
        session = peer.session
        if session.state is State.ENROLLING and session.registration != entry.registration:
            return  # the store still shows the one before
        answers, lease = session.registered(entry.epoch, asyncio.get_running_loop().time())
        if session.state is not State.REGISTERED:
            return
        peer.entry = entry
        self.here[entry.text] = peer
        if answers:
            peer.send(
                replies.registered(
                    answers,
                    session=peer.session_id,
                    epoch=entry.epoch,
                    heartbeat=self._heartbeat(),
                    lease=lease,
                    ice_servers=self._fresh_ice(peer, entry),
                )
            )

    def _renew(self, peer: Peer, load: Load, reply_to: int) -> None:
        entry = peer.entry
        ice: list[IceServer] = []
        if entry is not None and peer.session.state is State.REGISTERED:
            is_changed = entry.load.step != load.step
            if is_changed:
                entry = peer.entry = replace(entry, load=load)
            self.ledger.renew(entry, is_changed=is_changed)
            if peer.ice_until is not None and asyncio.get_running_loop().time() > peer.ice_until:
                ice = self._fresh_ice(peer, entry)
        peer.send(replies.heartbeat_ack(reply_to, ice))

    def _fresh_ice(self, peer: Peer, entry: Entry) -> list[IceServer]:
        """Credentials for another while; they are renewed after half of their life."""
        if self._ice.ttl is not None:
            peer.ice_until = asyncio.get_running_loop().time() + self._ice.ttl / 2
        return self._ice.give(entry.registration.id)

    def _replace(self, peer: Peer, epoch: int) -> None:
        if peer.entry is not None and self.here.get(peer.entry.text) is peer:
            del self.here[peer.entry.text]
        peer.entry = None  # a newer session owns the identity: nothing to leave
        if self.is_draining:
            peer.end(Close.RESTART, "moved to another replica")
        else:
            self.perform(peer, peer.session.replaced(epoch))

    def _leave(self, peer: Peer, reason: Reason) -> None:
        entry, peer.entry = peer.entry, None
        if entry is None:
            return
        if self.here.get(entry.text) is peer:
            del self.here[entry.text]
        self.ledger.leave(entry, reason)

    def _detach(self, entry: Entry) -> None:
        if entry.session in self._detached:
            self._detached[entry.session][1].cancel()
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._grace, self._end_grace, entry, Reason.EXPIRED)
        self._detached[entry.session] = entry, timer

    def _end_grace(self, entry: Entry, reason: Reason) -> None:
        del self._detached[entry.session]
        self.ledger.leave(entry, reason)
