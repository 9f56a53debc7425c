"""Shell: who watches presence on this replica; snapshots, events, discovery."""

from __future__ import annotations

from collections.abc import Iterable

from actr_signaling.peers import Peer
from actr_signaling.protocol import replies
from actr_signaling.protocol.discovery import rank
from actr_signaling.protocol.messages import Discover
from actr_signaling.protocol.presence import Presence, Told


class Watchers:
    """Subscriptions of this replica's connections; owned by the hub, read from its view."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._watchers: dict[tuple[str, str], dict[Peer, None]] = {}
        """By realm and type; an empty type watches all."""

    def watch(self, peer: Peer, actr_type: str, reply_to: int) -> None:
        """Answer with a snapshot; events with higher versions follow."""
        realm = _realm(peer)
        self._watchers.setdefault((realm, actr_type), {})[peer] = None
        present = self._presence.members(realm, actr_type=actr_type)
        peer.send(replies.snapshot(reply_to, actr_type, self._presence.version, present))

    def unwatch(self, peer: Peer, actr_type: str) -> None:
        key = _realm(peer), actr_type
        watchers = self._watchers.get(key)
        if watchers is not None:
            watchers.pop(peer, None)
            if not watchers:
                del self._watchers[key]

    def forget(self, peer: Peer) -> None:
        """A connection has ended, and its subscriptions with it."""
        for actr_type in tuple(peer.session.watches):
            self.unwatch(peer, actr_type)

    def tell(self, told: Iterable[Told]) -> None:
        """Send events, each written once for all who hear it."""
        for item in told:
            data = b""
            actr_type = item.entry.registration.id.actr_type
            for realm in item.realms:
                of_type = self._watchers.get((realm, actr_type), {})
                of_all = self._watchers.get((realm, ""), {})
                for peer in {**of_type, **of_all}:
                    data = data or replies.event(item)
                    peer.send(data)

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


def _realm(peer: Peer) -> str:
    assert peer.session.id is not None
    return peer.session.id.realm
