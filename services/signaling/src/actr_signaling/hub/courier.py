"""Shell: relays from one peer to another, here or on another replica, each with an answer."""

from __future__ import annotations

import asyncio
from collections import Counter

from google.protobuf.message import DecodeError

from actr_signaling.hub.peers import Board, Peer
from actr_signaling.protocol.client import replies
from actr_signaling.protocol.client.relays import look
from actr_signaling.protocol.client.session import State
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.identity.ids import read_id
from actr_signaling.protocol.relay.parcels import Parcel
from actr_signaling.protocol.relay.pending import Pending, PendingRelays
from actr_signaling.protocol.relay.routing import HERE, Nowhere, Route, There, Undelivered, route

RELAY_WAIT = 1.5
"""Seconds another replica may take to confirm a relay: the promise is 2."""


class Courier:
    """Carries relays; owned by the hub.

    Args:
        wait: Seconds another replica may take.
    """

    def __init__(self, board: Board, *, wait: float = RELAY_WAIT) -> None:
        self._board = board
        self._pending = PendingRelays(wait)
        self._timer: asyncio.TimerHandle | None = None
        self.results: Counter[Undelivered | None] = Counter()
        """Relays that were answered, by what was said; None: they were delivered."""

    def carry(self, peer: Peer, data: bytes) -> bool:
        """Take a relay by the bytes of its message; False: they are something else, or odd.

        As :meth:`forward` of what the session has decided, which lets a registered actor relay.
        """
        if peer.session.state is not State.REGISTERED:
            return False
        seen = look(data)
        if seen is None:
            return False
        number, to, negotiate = seen
        try:
            target = read_id(to)
        except DecodeError:
            return False
        self.forward(peer, target, negotiate, number)
        return True

    def forward(self, peer: Peer, to: ActrId | None, negotiate: bytes, reply_to: int) -> None:
        """Take a relay from ``peer`` and answer it, now or when the other replica has."""
        self.send_by(self.way(peer, to), peer, to, negotiate, reply_to)

    def way(self, peer: Peer, to: ActrId | None) -> Route:
        """Where a relay from ``peer`` to ``to`` goes, by all rules."""
        board = self._board
        source = peer.session.id
        assert source is not None
        way: Route = route(
            source, to, board.presence, replica=board.server_id, contacts=peer.session.contacts
        )
        if to is not None and not board.meetings.may_relay(peer, to, board.presence.find(to.text)):
            way = Nowhere(Undelivered.NOT_ALLOWED)
        return way

    def send_by(
        self, way: Route, peer: Peer, to: ActrId | None, negotiate: bytes, reply_to: int
    ) -> bool:
        """Forward by a ``way`` that was just found; False: the answer is that it went nowhere."""
        reason: Undelivered | None
        if way is HERE:  # as most are
            assert to is not None
            reason = self._hand_over_here(peer, to, negotiate)
        elif isinstance(way, There):
            assert to is not None
            reason = self._send_on(peer, way.replica, to, negotiate, reply_to)
            if reason is None:
                return True
        else:
            assert isinstance(way, Nowhere)
            reason = way.reason
        self._answer(peer, reply_to, reason, to)
        return reason is None

    def _hand_over_here(self, peer: Peer, to: ActrId, negotiate: bytes) -> Undelivered | None:
        """As :meth:`hand_over`, without putting the message together first."""
        assert peer.session.id is not None
        target = self._met(to.text, peer.session.id.text)
        if target is None:
            return Undelivered.OFFLINE
        start = replies.relayed_start(peer.head, len(negotiate))
        return None if target.pass_on_parts(start, negotiate) else Undelivered.OVERLOADED

    def hand_over(self, to: str, source: str, data: bytes) -> Undelivered | None:
        """Put a relay on its target's connection; None: done."""
        target = self._met(to, source)
        if target is None:
            return Undelivered.OFFLINE
        return None if target.pass_on(data) else Undelivered.OVERLOADED

    def _met(self, to: str, source: str) -> Peer | None:
        """Who has an id here, and from now on may answer ``source``; None: nobody."""
        target = self._board.here.get(to)
        if target is None or target.session.id is None:
            return None
        if not source.endswith(f":{target.session.id.realm}"):
            target.session.meet(source)
        return target

    def answered(self, number: int, reason: Undelivered | None) -> None:
        """Another replica has answered."""
        pending = self._pending.take(number)
        if pending is not None:
            self._report(pending, reason)

    def give_up(self) -> None:
        """The way to other replicas is gone: say so of all that is on it."""
        for pending in self._pending.give_up():
            self._report(pending, Undelivered.EXPIRED)

    def _send_on(
        self, peer: Peer, replica: str, to: ActrId, negotiate: bytes, reply_to: int
    ) -> Undelivered | None:
        """Pass a relay to another replica; None: its answer will come."""
        if self._pending.is_full or self._board.ledger.is_full:
            return Undelivered.OVERLOADED
        if not self._board.ledger.is_ready:
            return Undelivered.EXPIRED
        now = asyncio.get_running_loop().time()
        number = self._pending.add(peer.session_id, reply_to, to, replica, now)
        data = replies.relayed(peer.head, negotiate)
        self._board.ledger.send(replica, Parcel(number, to.text, str(peer.session.id), data))
        if self._timer is None:
            self._arm()
        return None

    def _report(self, pending: Pending, reason: Undelivered | None) -> None:
        peer = self._board.peers.get(pending.session)
        if peer is not None:
            self._answer(peer, pending.reply_to, reason, pending.to)

    def _arm(self) -> None:
        deadline = self._pending.deadline
        self._timer = None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._expire)

    def _expire(self) -> None:
        for pending in self._pending.expire(asyncio.get_running_loop().time()):
            self._report(pending, Undelivered.EXPIRED)
        self._arm()

    def _answer(
        self, peer: Peer, reply_to: int, reason: Undelivered | None, to: ActrId | None
    ) -> None:
        self.results[reason] += 1
        if reason is None:
            peer.confirm(reply_to)
        else:
            peer.send(replies.undelivered(reply_to, reason, to))
