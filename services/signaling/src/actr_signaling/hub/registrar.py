"""Shell: which connection of this replica is which actor, from Register to the end of its grace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

import structlog

from actr_signaling.errors import Close
from actr_signaling.hub.durations import Durations
from actr_signaling.hub.ice import IceServers
from actr_signaling.hub.peers import Board, Peer
from actr_signaling.protocol.client import replies
from actr_signaling.protocol.client.replies import IceServer
from actr_signaling.protocol.client.session import State
from actr_signaling.protocol.presence.records import Entry, Load, Registration
from actr_signaling.protocol.presence.view import Reason

log = structlog.get_logger()

GRACE = 1.5
"""Seconds that a broken connection's actor stays present, to come back unnoticed."""


class Registrar:
    """Asks the ledger to write what its connections register, and follows what is written.

    Owned by the hub.

    Args:
        ice: What to give an actor, with credentials that are fresh.
        heartbeat: Seconds between the heartbeats of one session; called for each, to add jitter.
        grace: Seconds from a broken connection to the leave.
    """

    def __init__(
        self,
        board: Board,
        *,
        ice: IceServers,
        heartbeat: Callable[[], float],
        grace: float = GRACE,
    ) -> None:
        self.here: dict[str, Peer] = {}
        """By id: registered connections."""
        self._board = board
        self._ice = ice
        self._heartbeat = heartbeat
        self._grace = grace
        self.joins = Durations()
        """From the upgrade of a connection to its first registration."""
        self._detached: dict[str, tuple[Entry, asyncio.TimerHandle]] = {}
        """By id: actors whose connection broke, until they come back or their grace ends."""
        self.nobody_is_awaited = asyncio.Event()
        """Set while no grace runs."""
        self.nobody_is_awaited.set()

    def own_entries(self, peers: Iterable[Peer]) -> list[Entry]:
        """What the store must hold of these connections: confirmed ones with their epoch."""
        own: list[Entry] = []
        for peer in peers:
            registration = peer.session.registration
            if peer.entry is not None and peer.session.state is State.REGISTERED:
                own.append(peer.entry)
            elif registration is not None and peer.session.state is State.ENROLLING:
                own.append(self._unconfirmed(peer, registration, peer.session.load))
        return own

    def fenced(self, peer: Peer, entry: Entry, epoch: int) -> None:
        """The store knows a newer epoch than ``entry``, which is this connection's."""
        # While it registers anew, the newer epoch may be its own.
        if peer.entry is None or peer.session.state is not State.REGISTERED:
            return
        if peer.entry.epoch == entry.epoch:
            self._replace(peer, epoch)

    def _unconfirmed(self, peer: Peer, registration: Registration, load: Load) -> Entry:
        return Entry(
            registration=registration,
            load=load,
            epoch=0,
            session=peer.session_id,
            replica=self._board.server_id,
        )

    def enrol(
        self, peer: Peer, registration: Registration, load: Load, *, only_if_free: bool = False
    ) -> None:
        """Have it stored; the client is answered when the store has confirmed it, or refused where
        it wants no identity that another process holds."""
        entry = self._unconfirmed(peer, registration, load)
        peer.took_over = self._is_held(entry)
        if peer.took_over and only_if_free:
            self._board.perform(peer, peer.session.occupied())
            return
        peer.head = replies.relayed_head(registration.id, registration.incarnation)
        self._board.ledger.register(entry, above=self._board.presence.known_epoch(entry.text))

    def _is_held(self, entry: Entry) -> bool:
        """Whether another process is this actor, as far as this replica knows."""
        held = self._board.presence.find(entry.text)
        return (
            held is not None
            and entry.text not in self._detached  # its connection has ended
            and held.registration.incarnation != entry.registration.incarnation
        )

    def settle(self, entry: Entry) -> None:
        """Bring this replica's connections in line with a stored entry."""
        self._welcome(entry)
        current = self.here.get(entry.text)
        if current is not None and current.session_id != entry.session:
            if current.session.epoch >= entry.epoch:
                return
            self._replace(current, entry.epoch)
        if entry.replica != self._board.server_id:
            return
        peer = self._board.peers.get(entry.session)
        if peer is None:
            # Its connection ended before the store confirmed it.
            if entry.text in self._detached:
                self._begin_grace(entry)
            else:
                self._board.ledger.leave(entry, Reason.EXPIRED)
            return
        self._confirm(peer, entry)

    def _confirm(self, peer: Peer, entry: Entry) -> None:
        session = peer.session
        if session.state is State.ENROLLING and session.registration != entry.registration:
            return  # the store still shows the one before
        if entry.epoch < session.epoch:
            return
        now, is_first = asyncio.get_running_loop().time(), not session.epoch
        answers, lease = session.registered(entry.epoch, now)
        if session.state is not State.REGISTERED:
            return
        if is_first:
            self.joins.add(now - session.began)
        peer.entry = _as_registered(entry, session.registration)
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
                    took_over=peer.took_over,
                )
            )

    def renew(self, peer: Peer, load: Load, reply_to: int) -> None:
        """Renew the lease, tell a load that is worth telling, and answer the heartbeat."""
        entry = peer.entry
        ice: list[IceServer] = []
        if entry is not None and peer.session.state is State.REGISTERED:
            is_changed = entry.load.step != load.step
            if is_changed:
                entry = peer.entry = replace(entry, load=load)
            self._board.ledger.renew(entry, is_changed=is_changed)
            if peer.ice_until is not None and asyncio.get_running_loop().time() > peer.ice_until:
                ice = self._fresh_ice(peer, entry)
        peer.send(replies.heartbeat_ack(reply_to, ice))

    def recertify(self, peer: Peer, registration: Registration) -> None:
        """Store a newer certificate under the same registration, with the same epoch."""
        if peer.entry is not None:
            peer.entry = replace(peer.entry, registration=registration)
            self._board.ledger.renew(peer.entry, is_changed=True)

    def _fresh_ice(self, peer: Peer, entry: Entry) -> list[IceServer]:
        """Credentials for another while; they are renewed after half of their life."""
        if self._ice.ttl is not None:
            peer.ice_until = asyncio.get_running_loop().time() + self._ice.ttl / 2
        return self._ice.give(entry.registration.id)

    def _replace(self, peer: Peer, epoch: int) -> None:
        if peer.entry is not None and self.here.get(peer.entry.text) is peer:
            del self.here[peer.entry.text]
        peer.entry = None  # a newer session owns the identity: nothing to leave
        if self._board.is_draining:
            peer.end(Close.RESTART, "moved to another replica")
        else:
            self._board.perform(peer, peer.session.replaced(epoch))

    def leave(self, peer: Peer, reason: Reason) -> None:
        """End the registration now, without a grace."""
        entry, peer.entry = peer.entry, None
        if entry is None:
            return
        if self.here.get(entry.text) is peer:
            del self.here[entry.text]
        self._board.ledger.leave(entry, reason)

    def detach(self, peer: Peer) -> None:
        """A connection has ended: its actor may come back within the grace."""
        entry = peer.entry
        if entry is not None:
            if self.here.get(entry.text) is peer:
                del self.here[entry.text]
            self._begin_grace(entry)

    def end_graces(self, reason: Reason) -> None:
        """No one may come back here: this replica goes away."""
        for entry, timer in list(self._detached.values()):
            timer.cancel()
            self._end_grace(entry, reason)

    def _welcome(self, entry: Entry) -> None:
        """Whoever was awaited has come back, here or on another replica."""
        awaited = self._detached.get(entry.text)
        if awaited is not None and awaited[0].session != entry.session:
            awaited[1].cancel()
            self._forget(entry.text)

    def _begin_grace(self, entry: Entry) -> None:
        if entry.text in self._detached:
            self._detached[entry.text][1].cancel()
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._grace, self._end_grace, entry, Reason.EXPIRED)
        self._detached[entry.text] = entry, timer
        self.nobody_is_awaited.clear()

    def _end_grace(self, entry: Entry, reason: Reason) -> None:
        self._forget(entry.text)
        self._board.ledger.leave(entry, reason)

    def _forget(self, text: str) -> None:
        del self._detached[text]
        if not self._detached:
            self.nobody_is_awaited.set()


def _as_registered(entry: Entry, registration: Registration | None) -> Entry:
    """The entry as this replica's own connection has it, whatever the store says of that.

    So what somebody else has written into the store is written over with the next heartbeat.
    """
    stored = entry.registration
    if registration is None or registration is stored:
        return entry
    if registration != stored or _said(registration) != _said(stored):
        log.warning("the store says something else of an actor of this replica", actor=entry.text)
    return replace(entry, registration=registration)


def _said(registration: Registration) -> bytes:
    """What is signed; the certificate under it may just have been renewed."""
    signed = registration.signed
    return b"" if signed is None else signed.register + signed.signature
