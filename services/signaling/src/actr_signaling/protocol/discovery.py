"""Sans-I/O: who answers a discovery, best first."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from hashlib import blake2b

from actr_signaling.protocol.messages import Discover
from actr_signaling.protocol.records import Entry


def rank(entries: Iterable[Entry], query: Discover, *, asker: str) -> list[Entry]:
    """The best of ``entries`` for ``query``, at most its limit.

    In this order: an exact fingerprint before others; with a stickiness key, the order that the
    key gives (rendezvous hashing: the same key has the same first choice while that one is
    there, and a change elsewhere moves nobody); without one, the smaller load. Equals are spread
    over askers.
    """
    spread = query.stickiness or asker

    def order(entry: Entry) -> tuple[bool, tuple[float, float], bytes]:
        is_exact = (
            not query.fingerprint
            or entry.registration.services.get(query.service) == query.fingerprint
        )
        load = (0.0, 0.0) if query.stickiness else _load(entry)
        return not is_exact, load, _place(spread, entry.text)

    return heapq.nsmallest(query.limit, entries, key=order)


def _load(entry: Entry) -> tuple[float, float]:
    backlog, reserve = entry.load.step
    return backlog, -reserve


def _place(key: str, text: str) -> bytes:
    return blake2b(text.encode(), digest_size=8, key=key.encode()[:64]).digest()
