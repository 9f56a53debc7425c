"""Sans-I/O: the view of who is online that every replica holds, and what to tell of a change.

The view is fed by versioned changes and answers everything that is read: snapshots, discovery,
where a relay goes. Versions rise over all realms. A change of an older session than one known
(a lower epoch) is ignored, also after the newer one has left: nothing comes back to life.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

from actr_signaling.protocol.presence.records import Entry

MAX_GONE = 16_384
"""Ids whose last epoch is remembered after they left."""


class Kind(Enum):
    JOIN = auto()
    UPDATE = auto()
    LEAVE = auto()


class Reason(Enum):
    """Why an actor left; values are those between replicas."""

    CLOSED = 1
    """It said so."""
    EXPIRED = 2
    """Its connection or its replica is gone, and nobody took its place in time."""
    REPLACED = 3
    """A new start of the same identity follows."""
    DRAINED = 4
    """Its replica went away and it did not move in time."""
    KICKED = 5


@dataclass(frozen=True, slots=True)
class Told:
    """One event for those who watch in ``realms``."""

    kind: Kind
    entry: Entry
    version: int
    realms: frozenset[str]
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """One actor has changed: from what was known of it to what is; None: it is not there."""

    text: str
    old: Entry | None
    new: Entry | None
    version: int
    reason: Reason | None = None
    """Of a leave."""

    @property
    def actr_type(self) -> str:
        """``manufacturer:name``."""
        return self.text.partition("@")[0]

    @property
    def told(self) -> list[Told]:
        """What watchers are to be told, in order."""
        if self.new is not None:
            return list(_differences(self.old, self.new, self.version))
        if self.old is None or not self.old.audience:
            return []
        return [Told(Kind.LEAVE, self.old, self.version, self.old.audience, self.reason)]


class PresenceView:
    """Who is online, by id, and by realm, type and service."""

    def __init__(self) -> None:
        self.version = 0
        """Of the newest change applied."""
        self._entries: dict[str, Entry] = {}
        self._index: dict[tuple[str, str, str], dict[str, Entry]] = {}
        self._gone: OrderedDict[str, int] = OrderedDict()
        self._doubtful: dict[str, int] = {}
        """Of those above: who comes or goes is in doubt no more."""

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def find(self, text: str) -> Entry | None:
        return self._entries.get(text)

    def was_here(self, text: str) -> bool:
        """Whether an absent actor was online not long ago."""
        return text in self._gone

    def known_epoch(self, text: str) -> int:
        """The highest epoch known of an id; 0: none."""
        entry = self._entries.get(text)
        return entry.epoch if entry is not None else self._gone.get(text, 0)

    def members(self, realm: str, *, actr_type: str = "", service: str = "") -> Collection[Entry]:
        """Who is shown to ``realm``, of one type or with one service when given; no order."""
        group = self._index.get((realm, actr_type, "" if actr_type else service), {}).values()
        if actr_type and service:
            return [entry for entry in group if service in entry.registration.services]
        return group

    def put(self, entry: Entry, version: int) -> list[Moved]:
        """Take a new or changed entry; say what has changed for watchers."""
        self.version = max(self.version, version)
        if entry.epoch < self.known_epoch(entry.text):
            return []
        old = self._entries.get(entry.text)
        self._doubtful.pop(entry.text, None)
        self._store(entry)
        moved = Moved(entry.text, old, entry, version)
        return [moved] if moved.told else []

    def remove(self, text: str, epoch: int, reason: Reason, version: int) -> list[Moved]:
        """Take the end of the session with ``epoch``; of an older one nothing follows."""
        self.version = max(self.version, version)
        entry = self._entries.get(text)
        if entry is None or entry.epoch > epoch:
            return []
        return self._drop(entry, reason, version)

    def reset(self, entries: Iterable[Entry], version: int, *, is_partial: bool) -> list[Moved]:
        """Take a whole new state in place of missed changes.

        Args:
            entries: All that is stored now.
            version: Of that state; events are told under it.
            is_partial: Whether replicas are still writing their own (after a loss of the store):
                what is missing is then only doubted, until :meth:`drop_doubtful`.
        """
        moved: list[Moved] = []
        missing = dict.fromkeys(self._entries)
        for entry in entries:
            missing.pop(entry.text, None)
            moved += self.put(entry, version)
        self.version = max(self.version, version)
        for text in missing:
            entry = self._entries[text]
            if is_partial:
                self._doubtful[text] = entry.epoch
            else:
                moved += self._drop(entry, Reason.EXPIRED, version)
        return moved

    def drop_doubtful(self) -> list[Moved]:
        """End the doubt: who was not confirmed since the reset has left."""
        doubtful, self._doubtful = self._doubtful, {}
        moved: list[Moved] = []
        for text in doubtful:
            moved += self._drop(self._entries[text], Reason.EXPIRED, self.version)
        return moved

    def _store(self, entry: Entry) -> None:
        entry.write()
        old = self._entries.get(entry.text)
        self._gone.pop(entry.text, None)
        if old is not None:
            self._unindex(old)
        self._entries[entry.text] = entry
        for key in _keys(entry):
            self._index.setdefault(key, {})[entry.text] = entry

    def _drop(self, entry: Entry, reason: Reason, version: int) -> list[Moved]:
        del self._entries[entry.text]
        self._doubtful.pop(entry.text, None)
        self._unindex(entry)
        self._gone[entry.text] = entry.epoch
        while len(self._gone) > MAX_GONE:
            self._gone.popitem(last=False)
        moved = Moved(entry.text, entry, None, version, reason)
        return [moved] if moved.told else []

    def _unindex(self, entry: Entry) -> None:
        for key in _keys(entry):
            group = self._index[key]
            del group[entry.text]
            if not group:
                del self._index[key]


def _keys(entry: Entry) -> Iterator[tuple[str, str, str]]:
    actr_type = entry.registration.id.actr_type
    for realm in entry.audience:
        yield realm, "", ""
        yield realm, actr_type, ""
        for service in entry.registration.services:
            yield realm, "", service


def _differences(old: Entry | None, new: Entry, version: int) -> Iterator[Told]:
    """What each realm is to be told when ``old`` becomes ``new``.

    The end of a replaced start has the version just below: writers leave a gap of two.
    """
    before = frozenset[str]() if old is None else old.audience
    after = new.audience
    if old is None:
        if after:
            yield Told(Kind.JOIN, new, version, after)
        return
    is_restart = old.registration.incarnation != new.registration.incarnation
    if is_restart:
        if before:
            yield Told(Kind.LEAVE, old, version - 1, before, Reason.REPLACED)
        if after:
            yield Told(Kind.JOIN, new, version, after)
        return
    if before - after:
        yield Told(Kind.LEAVE, old, version, before - after, Reason.CLOSED)
    if after - before:
        yield Told(Kind.JOIN, new, version, after - before)
    if before & after and _is_worth_telling(old, new):
        yield Told(Kind.UPDATE, new, version, before & after)


def _is_worth_telling(old: Entry, new: Entry) -> bool:
    return (
        old.registration != new.registration
        or old.epoch != new.epoch
        or old.load.step != new.load.step
    )
