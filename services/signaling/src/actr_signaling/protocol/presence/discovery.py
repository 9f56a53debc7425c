"""Sans-I/O: who answers a discovery, best first.

One query looks at every actor of a type, and there may be twenty thousand: what is asked of each
is a few operations on numbers that the entry has ready.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from heapq import nsmallest

from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.presence.records import Entry

_MIX = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


Place = tuple[int, int, int, int, str]
"""Where an actor stands in the answer to a question: the smaller, the better."""


@dataclass(frozen=True, slots=True)
class Query:
    """Whom an actor looks for; what is empty does not matter."""

    actr_type: str
    service: str
    fingerprint: str
    stickiness: str
    limit: int
    id: ActrId | None = None
    """Only this actor, of all that fit the rest."""
    after: Place | None = None
    """Only those behind this place."""


def rank(entries: Iterable[Entry], query: Query, *, asker: str) -> list[Entry]:
    """The best of ``entries`` for ``query``, at most its limit.

    In this order: an exact fingerprint before others; with a stickiness key, the order that the
    key gives (rendezvous hashing: the same key has the same first choice while that one is
    there, and a change elsewhere moves nobody); without one, the smaller load. Equals are spread
    over askers.
    """
    if query.after is not None:
        places = ((place_of(entry, query, asker=asker), entry) for entry in entries)
        behind = ((place, entry) for place, entry in places if place > query.after)
        # Texts differ, so that entries are never compared.
        return [entry for _, entry in nsmallest(query.limit, behind)]
    if query.fingerprint:
        exact: list[Entry] = []
        others: list[Entry] = []
        for entry in entries:
            has_it = entry.registration.services.get(query.service) == query.fingerprint
            (exact if has_it else others).append(entry)
        best = _best(exact, query, query.limit, asker)
        return best + _best(others, query, query.limit - len(best), asker)
    return _best(entries, query, query.limit, asker)


def place_of(entry: Entry, query: Query, *, asker: str) -> Place:
    """Where ``entry`` stands, by the order of :func:`rank`.

    It does not move while the question has a stickiness key; without one it does with its load.
    """
    has_other = False
    if query.fingerprint:
        has_other = entry.registration.services.get(query.service) != query.fingerprint
    step = (0, 0) if query.stickiness else entry.step
    mixed = _mixed(entry.place ^ _seed(query.stickiness or asker))
    return int(has_other), *step, mixed, entry.text


def written(place: Place) -> str:
    """A place as it travels."""
    return ".".join(map(str, place))


def read_place(text: str) -> Place:
    """A place that came back.

    Raises:
        ValueError: If it is none.
    """
    other, backlog, reserve, mixed, name = text.split(".", 4)
    return int(other), int(backlog), int(reserve), int(mixed), name


def _seed(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest())


def _best(entries: Iterable[Entry], query: Query, limit: int, asker: str) -> list[Entry]:
    seed = _seed(query.stickiness or asker)
    if query.stickiness:
        sticky = ((_mixed(entry.place ^ seed), entry.text, entry) for entry in entries)
        return [entry for *_, entry in nsmallest(limit, sticky)]
    # Texts differ, so that entries are never compared.
    loaded = ((entry.step, _mixed(entry.place ^ seed), entry.text, entry) for entry in entries)
    return [entry for *_, entry in nsmallest(limit, loaded)]


def _mixed(number: int) -> int:
    """Every bit of ``number`` counts in the high bits, by which it is compared."""
    number = (number ^ number >> 32) * _MIX & _MASK
    return (number ^ number >> 29) * _MIX & _MASK
