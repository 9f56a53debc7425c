"""Shell: who watches presence on this replica; snapshots, events, discovery.

A change is told at once when the last one was told a while ago. What changes more often is told
every :data:`INTERVAL`, each actor once, from what watchers know to what is; so is what changes
while a watcher is slow, when it has caught up. Snapshots show what watchers know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from time import perf_counter

from actr_signaling.peers import Peer
from actr_signaling.protocol import replies
from actr_signaling.protocol.discovery import rank
from actr_signaling.protocol.messages import Discover
from actr_signaling.protocol.presence import Moved, Presence, Told
from actr_signaling.protocol.records import Entry
from actr_signaling.protocol.telling import Pending

INTERVAL = 0.05
"""Seconds between two times at which changes are told."""
TELLING = 0.002
"""Seconds of one turn of the loop for telling."""

MAX_SNAPSHOTS = 64
"""Bodies kept for who asks next."""


class Watchers:
    """Subscriptions of this replica's connections; owned by the hub, read from its view."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._watchers: dict[tuple[str, str], dict[Peer, None]] = {}
        """By realm and type; an empty type watches all."""
        self._pending = Pending()
        self._slow: dict[Peer, Pending] = {}
        """What those who are slow were not told."""
        self._snapshots: dict[tuple[str, str], bytes] = {}
        """Of what watchers know now."""
        self._snapshots_version = -1
        self._told_at = float("-inf")
        self._handle: asyncio.Handle | None = None

    def watch(self, peer: Peer, actr_type: str, reply_to: int) -> None:
        """Answer with a snapshot; events with higher versions follow."""
        key = _realm(peer), actr_type
        self._watchers.setdefault(key, {})[peer] = None
        peer.send(replies.snapshot(reply_to, self._snapshot(key)))

    def unwatch(self, peer: Peer, actr_type: str) -> None:
        key = _realm(peer), actr_type
        watchers = self._watchers.get(key)
        if watchers is not None:
            watchers.pop(peer, None)
            if not watchers:
                del self._watchers[key]

    def forget(self, peer: Peer) -> None:
        """A connection has ended, and its subscriptions with it."""
        self._slow.pop(peer, None)
        for actr_type in tuple(peer.session.watches):
            self.unwatch(peer, actr_type)

    def changed(self, moves: Iterable[Moved]) -> None:
        """Have changes told, now or soon."""
        for moved in moves:
            self._pending.add(moved)
        if self._pending and self._handle is None:
            loop = asyncio.get_running_loop()
            wait = self._told_at + INTERVAL - loop.time()
            if wait > 0:
                self._handle = loop.call_later(wait, self._tell)
            else:
                self._tell()

    def catch_up(self, peer: Peer) -> None:
        """Tell one that was slow what it has missed, as far as it reads."""
        missed = self._slow.get(peer)
        if missed is None:
            return
        while missed and not peer.is_slow:
            for told in missed.take().told:
                if _realm(peer) in told.realms and _watches(peer, told):
                    peer.send(replies.event(told))
        if not missed:
            self._slow.pop(peer, None)

    def search(self, peer: Peer, query: Discover, reply_to: int) -> None:
        realm = _realm(peer)
        if query.id is not None:
            entry = self._presence.find(query.id.text)
            found = [entry] if entry is not None and realm in entry.audience else []
        else:
            entries = self._presence.members(
                realm, actr_type=query.actr_type, service=query.service
            )
            found = rank(entries, query, asker=str(peer.session.id))
        peer.send(replies.discovered(reply_to, found))

    def _tell(self) -> None:
        """Tell what there is time for; the rest after others had their turn."""
        loop = asyncio.get_running_loop()
        until = perf_counter() + TELLING
        self._handle = None
        while self._pending:
            moved = self._pending.take()
            self._tell_one(moved)
            if perf_counter() >= until:
                break
        self._told_at = loop.time()
        if self._pending:
            self._handle = loop.call_soon(self._tell)

    def _tell_one(self, moved: Moved) -> None:
        late: dict[Peer, None] = {}
        self._snapshots.clear()
        for told in moved.told:
            data = b""
            for peer in self._hearers(told):
                if peer.is_slow or peer in self._slow:
                    late[peer] = None
                else:
                    data = data or replies.event(told)
                    peer.send(data)
        for peer in late:
            self._slow.setdefault(peer, Pending()).add(moved)

    def _hearers(self, told: Told) -> Iterator[Peer]:
        actr_type = told.entry.registration.id.actr_type
        for realm in told.realms:
            of_type = self._watchers.get((realm, actr_type), {})
            of_all = self._watchers.get((realm, ""), {})
            yield from {**of_type, **of_all}

    def _snapshot(self, key: tuple[str, str]) -> bytes:
        """The body of a snapshot; the same bytes until something is told."""
        version = self._pending.version - 2 if self._pending else self._presence.version
        if version != self._snapshots_version or len(self._snapshots) >= MAX_SNAPSHOTS:
            self._snapshots.clear()
            self._snapshots_version = version
        body = self._snapshots.get(key)
        if body is None:
            body = replies.snapshot_body(key[1], version, self._known(*key))
            self._snapshots[key] = body
        return body

    def _known(self, realm: str, actr_type: str) -> Iterator[Entry]:
        """Whom watchers know: all that are there, but as they were told."""
        pending = self._pending
        for entry in self._presence.members(realm, actr_type=actr_type):
            if entry.text not in pending:
                yield entry
        for entry in pending.known:
            is_of_type = actr_type in ("", entry.registration.id.actr_type)
            if is_of_type and realm in entry.audience:
                yield entry


def _realm(peer: Peer) -> str:
    assert peer.session.id is not None
    return peer.session.id.realm


def _watches(peer: Peer, told: Told) -> bool:
    watches = peer.session.watches
    return "" in watches or told.entry.registration.id.actr_type in watches
