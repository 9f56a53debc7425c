"""Shell: who watches presence on this replica; snapshots, events, discovery.

What changes is told by the crier. Snapshots show what watchers know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeVar

from actr_signaling.errors import Close
from actr_signaling.hub.crier import Crier
from actr_signaling.hub.meetings import Meetings
from actr_signaling.hub.peers import Peer
from actr_signaling.protocol import json_form
from actr_signaling.protocol.client import replies
from actr_signaling.protocol.presence.discovery import Query, place_of, rank, written
from actr_signaling.protocol.presence.records import Entry
from actr_signaling.protocol.presence.untold import Untold
from actr_signaling.protocol.presence.view import Moved, PresenceView

MAX_SNAPSHOTS = 64
"""Bodies kept for who asks next."""
_AROUND_BYTES = 64
_BETWEEN_BYTES = 2
"""What a listing has before and between its actors, in either form."""

Form = TypeVar("Form", bytes, str)


class Watchers:
    """Subscriptions of this replica's connections; owned by the hub, read from its view."""

    def __init__(self, presence: PresenceView, meetings: Meetings) -> None:
        self._presence = presence
        self._meetings = meetings
        self._watchers: dict[tuple[str, str], dict[Peer, None]] = {}
        """By realm and type; an empty type watches all."""
        self._crier = Crier(self._hearers, lambda: meetings.sees if meetings.are_bounded else None)
        self._snapshots: dict[tuple[str, str], bytes] = {}
        """Of what watchers know now."""
        self._texts: dict[tuple[str, str], str] = {}
        """The same in JSON form."""
        self._snapshots_at = -1, 0
        """The version that they have, and how many pieces were told by then."""

    def watch(self, peer: Peer, actr_type: str, reply_to: int) -> None:
        """Answer with a snapshot; events with higher versions follow.

        Where no client takes a message as long as that, an error says so, and none follow.
        """
        key = _realm(peer), actr_type
        data: bytes | str
        if self._meetings.are_bounded:
            data = self._snapshot_for(peer, key, reply_to)
        elif peer.is_json:
            data = json_form.snapshot(reply_to, self._snapshot_text(key))
        else:
            data = replies.snapshot(reply_to, self._snapshot(key))
        if len(data) > replies.MAX_LISTING_BYTES:
            peer.session.watches.discard(actr_type)
            self.unwatch(peer, actr_type)
            peer.send(replies.error(reply_to, Close.TOO_BIG, _too_many(len(data))))
            return
        self._watchers.setdefault(key, {})[peer] = None
        self._crier.skip(peer, actr_type)  # the snapshot shows what is just being told
        peer.send(data)

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
            known = [entry] if entry is not None and realm in entry.audience else []
            found = list(self._meetings.seen(peer, known))
        else:
            entries = self._presence.members(
                realm, actr_type=query.actr_type, service=query.service
            )
            found = rank(self._meetings.seen(peer, entries), query, asker=str(peer.session.id))
        if peer.is_json:
            shown = _fitting([entry.shown for entry in found])
            following = _next(found, len(shown), query, peer)
            peer.send(json_form.discovered(reply_to, shown, following))
        else:
            count = len(_fitting([entry.listed for entry in found]))
            following = _next(found, count, query, peer)
            peer.send(replies.discovered(reply_to, found[:count], following))

    def _hearers(self, moves: Iterable[Moved]) -> list[Peer]:
        watched: dict[tuple[str, str], None] = {}
        for told in chain.from_iterable(moved.told for moved in moves):
            actr_type = told.entry.registration.id.actr_type
            for realm in told.realms:
                watched[realm, actr_type] = watched[realm, ""] = None
        hearers: dict[Peer, None] = {}
        for key in watched:
            hearers |= self._watchers.get(key, {})
        return list(hearers)

    def _snapshot_for(self, peer: Peer, key: tuple[str, str], reply_to: int) -> bytes | str:
        """A snapshot of those whom one connection may see."""
        version = self._known_version()
        shown = self._meetings.seen(peer, self._known(*key))
        if peer.is_json:
            texts = (entry.shown for entry in shown)
            return json_form.snapshot(reply_to, json_form.snapshot_body(key[1], version, texts))
        return replies.snapshot(reply_to, replies.snapshot_body(key[1], version, shown))

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
        if (version, self._crier.pieces) != self._snapshots_at or is_full:
            self._snapshots.clear()
            self._texts.clear()
            self._snapshots_at = version, self._crier.pieces
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


def _too_many(size: int) -> str:
    return (
        f"a snapshot of {size} bytes is over {replies.MAX_LISTING_BYTES}: subscribe to one type, "
        "or discover the actors that are wanted"
    )


def _next(found: list[Entry], count: int, query: Query, peer: Peer) -> str:
    """What asks for those behind the first ``count`` of what was found; empty: there are none."""
    if not count or query.id is not None or (count == len(found) < query.limit):
        return ""
    return written(place_of(found[count - 1], query, asker=str(peer.session.id)))


def _fitting(listed: list[Form]) -> list[Form]:
    """As many as one message holds, the best first."""
    left = replies.MAX_LISTING_BYTES - _AROUND_BYTES
    for place, one in enumerate(listed):
        left -= len(one) + _BETWEEN_BYTES
        if left < 0:
            return listed[:place]
    return listed


def _realm(peer: Peer) -> str:
    assert peer.session.id is not None
    return peer.session.id.realm
