"""Shell: who watches presence on this replica; snapshots, events, discovery.

What changes is told by the crier. Snapshots show what watchers know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from actr_signaling.hub.crier import Crier
from actr_signaling.hub.peers import Peer
from actr_signaling.protocol import json_form
from actr_signaling.protocol.client import replies
from actr_signaling.protocol.presence.discovery import Query, rank
from actr_signaling.protocol.presence.records import Entry
from actr_signaling.protocol.presence.untold import Untold
from actr_signaling.protocol.presence.view import Moved, PresenceView

MAX_SNAPSHOTS = 64
"""Bodies kept for who asks next."""


class Watchers:
    """Subscriptions of this replica's connections; owned by the hub, read from its view."""

    def __init__(self, presence: PresenceView) -> None:
        self._presence = presence
        self._watchers: dict[tuple[str, str], dict[Peer, None]] = {}
        """By realm and type; an empty type watches all."""
        self._crier = Crier(self._hearers)
        self._snapshots: dict[tuple[str, str], bytes] = {}
        """Of what watchers know now."""
        self._texts: dict[tuple[str, str], str] = {}
        """The same in JSON form."""
        self._snapshots_version = -1

    def watch(self, peer: Peer, actr_type: str, reply_to: int) -> None:
        """Answer with a snapshot; events with higher versions follow."""
        key = _realm(peer), actr_type
        self._watchers.setdefault(key, {})[peer] = None
        self._crier.skip(peer, actr_type)  # the snapshot shows what is just being told
        if peer.is_json:
            text = self._snapshot_text(key)
            peer.send(json_form.snapshot(reply_to, text))
        else:
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
        self._crier.forget(peer)
        for actr_type in tuple(peer.session.watches):
            self.unwatch(peer, actr_type)

    def changed(self, moves: Iterable[Moved]) -> None:
        """Have changes told, now or soon."""
        self._crier.cry(moves)

    def catch_up(self, peer: Peer) -> None:
        """Tell one that was slow what it has missed, as far as it reads."""
        self._crier.catch_up(peer)

    def search(self, peer: Peer, query: Query, reply_to: int) -> None:
        realm = _realm(peer)
        if query.id is not None:
            entry = self._presence.find(query.id.text)
            found = [entry] if entry is not None and realm in entry.audience else []
        else:
            entries = self._presence.members(
                realm, actr_type=query.actr_type, service=query.service
            )
            found = rank(entries, query, asker=str(peer.session.id))
        if peer.is_json:
            peer.send(json_form.discovered(reply_to, (entry.shown for entry in found)))
        else:
            peer.send(replies.discovered(reply_to, found))

    def _hearers(self, moved: Moved) -> list[Peer]:
        hearers: dict[Peer, None] = {}
        for told in moved.told:
            actr_type = told.entry.registration.id.actr_type
            for realm in told.realms:
                hearers |= self._watchers.get((realm, actr_type), {})
                hearers |= self._watchers.get((realm, ""), {})
        return list(hearers)

    def _snapshot(self, key: tuple[str, str]) -> bytes:
        """The body of a snapshot; the same bytes until something is told."""
        version = self._known_version()
        body = self._snapshots.get(key)
        if body is None:
            body = replies.snapshot_body(key[1], version, self._known(*key))
            self._snapshots[key] = body
        return body

    def _snapshot_text(self, key: tuple[str, str]) -> str:
        """The same in JSON form."""
        version = self._known_version()
        text = self._texts.get(key)
        if text is None:
            shown = (entry.shown for entry in self._known(*key))
            text = self._texts[key] = json_form.snapshot_body(key[1], version, shown)
        return text

    def _known_version(self) -> int:
        """Of what watchers know; forgets snapshots of another, and when there are too many."""
        version = self._crier.version
        if version is None:
            version = self._presence.version
        is_full = len(self._snapshots) + len(self._texts) >= MAX_SNAPSHOTS
        if version != self._snapshots_version or is_full:
            self._snapshots.clear()
            self._texts.clear()
            self._snapshots_version = version
        return version

    def _known(self, realm: str, actr_type: str) -> Iterator[Entry]:
        """Whom watchers know: all that are there, but as they were told."""
        pending = self._crier.pending
        members = self._presence.members(realm, actr_type=actr_type)
        if not pending:
            return iter(members)
        return self._as_told(pending, members, realm, actr_type)

    def _as_told(
        self, pending: Untold, members: Iterable[Entry], realm: str, actr_type: str
    ) -> Iterator[Entry]:
        for entry in members:
            if entry.text not in pending:
                yield entry
        for entry in pending.known:
            is_of_type = actr_type in ("", entry.registration.id.actr_type)
            if is_of_type and realm in entry.audience:
                yield entry


def _realm(peer: Peer) -> str:
    assert peer.session.id is not None
    return peer.session.id.realm
